package cdc

import "testing"

func TestSnapshotShows(t *testing.T) {
	t.Parallel()
	const epoch = 1 << 32
	for text, xids := range map[string]map[uint32]bool{
		"10:10:":         {9: true, 10: false, 11: false, 3: true},
		"10:20:10,14,15": {9: true, 10: false, 11: true, 14: false, 15: false, 19: true, 20: false, 21: false},
		// The next number is the fifth of the second epoch: the last ones of the first are below it, ten is beyond.
		"4294967301:4294967301:":              {4294967295: true, 4: true, 5: false, 10: false, 2147483600: false, 2147483700: true},
		"4294967290:4294967301:4294967290":    {4294967289: true, 4294967290: false, 4294967295: true, 3: true, 5: false},
		"4294967290:4294967294:4294967290":    {4294967289: true, 4294967293: true, 4294967295: false, 3: false, 7: false},
		"12884901890:12884901898:12884901891": {2: true, 3: false, 9: true, 10: false, 4294967295: true},
	} {
		s, err := parseSnapshot(text)
		if err != nil {
			t.Fatal(err)
		}
		for xid, want := range xids {
			if got := s.shows(xid); got != want {
				t.Errorf("%s shows %d: %v, want %v (epoch %d)", text, xid, got, want, s.xmax/epoch)
			}
		}
	}
	for _, text := range []string{"", "1:2", "a:2:", "1:b:", "1:2:x", "1:2:1,"} {
		if _, err := parseSnapshot(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
