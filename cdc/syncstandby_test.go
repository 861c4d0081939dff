package cdc

import (
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/pgtest"
)

func TestNamesEverybody(t *testing.T) {
	for names, want := range map[string]bool{
		"": false, "*": true, " * ": true, "s1": false, "s1, s2": false, "s1,*": true, "2 (s1, *)": true, "FIRST 2 (s1,s2)": false,
		"ANY 1 (*)": true, "any 1(s1 , * )": true, `"*"`: false, `"a, * b"`: false, `"a""*", s2`: false, `"s 1", *`: true, "s*": false,
	} {
		if got := namesEverybody(names); got != want {
			t.Errorf("%q: got %v", names, got)
		}
	}
}

// TestRowhookIsNoStandby: the setting is refused at the start, and told when it comes later.
func TestRowhookIsNoStandby(t *testing.T) {
	t.Parallel()
	srv := pgtest.Cluster(t, nil)
	f := newFixture(t, srv.Database(t))
	s, stop := f.run(newRecorder())
	eventually(t, "it streams", func() bool { return s.Status().Phase == Streaming })
	// Commits may wait from now on: not for the test's own connection.
	f.exec(`set synchronous_commit = local`)
	f.exec(`alter system set synchronous_standby_names = 'ANY 1 (*)'`)
	f.exec(`select pg_reload_conf()`)
	eventually(t, "it is told", func() bool { return strings.Contains(s.Status().Degraded, "ANY 1 (*)") })
	stop()
	again, err := New(f.cfg, newRecorder(), f.mem)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Inspect(t.Context()); ClassOf(err) != Refused || !strings.Contains(err.Error(), "name the standbys") {
		t.Errorf("got %v", err)
	}
}
