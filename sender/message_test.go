package sender

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
)

func TestStandardMessage(t *testing.T) {
	t.Parallel()
	ev := &mapping.Event{
		Type: "contact.update", Data: []byte(`{"id":42,"total":10.00}`), Position: cdc.Position{Epoch: 1, Commit: 0x16B3748, Ordinal: 3, Sub: 1},
		Time: time.Date(2026, 11, 22, 1, 0, 0, 123456000, time.UTC),
	}
	const want = `{"type":"contact.update","timestamp":"2026-11-22T01:00:00.123456Z","data":{"id":42,"total":10.00},` +
		`"position":"0000000100000000016b37480000000300000001"}`
	if got := string(AppendStandard(nil, ev)); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	partial := *ev
	partial.Partial = []string{"body", `od"d`}
	partial.Time = ev.Time.Truncate(time.Second).In(time.FixedZone("", 3600))
	const wantPartial = `{"type":"contact.update","timestamp":"2026-11-22T01:00:00.000000Z","data":{"id":42,"total":10.00},` +
		`"partial":["body","od\"d"],"position":"0000000100000000016b37480000000300000001"}`
	got := AppendStandard(nil, &partial)
	if string(got) != wantPartial {
		t.Errorf("got\n%s, want\n%s", got, wantPartial)
	}
	both := partial
	both.Previous, both.Context = []byte(`{"total":9.50}`), []byte(`{"source":"zapier"}`)
	const wantBoth = `{"type":"contact.update","timestamp":"2026-11-22T01:00:00.000000Z","data":{"id":42,"total":10.00},` +
		`"partial":["body","od\"d"],"previous":{"total":9.50},"context":{"source":"zapier"},"position":"0000000100000000016b37480000000300000001"}`
	got = AppendStandard(nil, &both)
	if string(got) != wantBoth {
		t.Errorf("got\n%s, want\n%s", got, wantBoth)
	}
	if n := both.Size(); n != len(both.Data)+len(both.Previous)+len(both.Context) {
		t.Errorf("Size is %d", n)
	}
	if !json.Valid(got) {
		t.Error("not JSON")
	}
	if n := len(AppendStandard(nil, ev)) - len(ev.Data); n > standardOverhead {
		t.Errorf("needs %d bytes around the data, more than standardOverhead", n)
	}
}
