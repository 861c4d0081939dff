package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	total := int64(200)
	for name, c := range map[string]struct {
		bar  bool
		want []string
	}{
		"terminal": {bar: true, want: []string{
			"\r[------------------------------] queued: 0 of 200, 0%",
			"\r[#######-----------------------] running: 50 of 200, 25%, about 3s left",
			"\r[##############################] running: 200 of 200, 100%             ",
			"\r[##############################] done: 205 of 200, 100%   \n",
		}},
		"file": {want: []string{"queued: 0 of 200, 0%\n", "done: 205 of 200, 100%\n"}},
	} {
		var out bytes.Buffer
		now := time.Unix(0, 0)
		p := &progress{w: &out, bar: c.bar, now: func() time.Time { return now }}
		p.show("queued", 0, &total)
		p.show("queued", 0, &total)
		now = now.Add(time.Second)
		p.show("running", 50, &total)
		now = now.Add(time.Second)
		p.show("running", 200, &total)
		now = now.Add(lineEvery)
		p.show("done", 205, &total)
		p.end()
		p.end()
		if got, want := out.String(), strings.Join(c.want, ""); got != want {
			t.Errorf("%s:\n%q, want\n%q", name, got, want)
		}
	}
	var out bytes.Buffer
	p := newProgress(&out)
	p.show("running", 7, nil)
	p.end()
	if got := out.String(); got != "running: 7\n" {
		t.Errorf("of an unknown total: %q", got)
	}
}
