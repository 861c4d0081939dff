package verify

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func packed(t testing.TB, body []byte) string {
	t.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestGzipIsTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(body string) string
		// noHeader is a capture that has lost content-encoding.
		noHeader bool
		state    State
		detail   string
	}{
		"as it came":               {state: OK, detail: fmt.Sprintf("%d bytes, as signed, in ", len(testBody))},
		"says what to do":          {state: OK, detail: "decompress before you verify"},
		"without the header":       {noHeader: true, state: OK, detail: "bytes of gzip"},
		"from an editor":           {change: func(b string) string { return b + "\n" }, state: OK, detail: "bytes of gzip"},
		"decompressed on the way":  {change: func(string) string { return testBody }, state: OK, detail: fmt.Sprintf("%d bytes, as signed", len(testBody))},
		"decompressed and changed": {change: func(string) string { return indented(testBody) }, state: Wrong, detail: "parsed and written again"},
		"decompressed and another": {change: func(string) string { return testBody[:20] }, state: Unknown, detail: "neither these"},
		"of another body":          {change: func(string) string { return packed(t, []byte(indented(testBody))) }, state: Wrong, detail: "parsed and written again"},
		"cut":                      {change: func(b string) string { return b[:len(b)-9] }, state: Wrong, detail: "the end is missing"},
		"cut at once":              {change: func(b string) string { return b[:4] }, state: Wrong, detail: "the end is missing"},
		"a byte changed":           {change: func(b string) string { return b[:30] + "x" + b[31:] }, state: Wrong, detail: "cannot be decompressed"},
		"more behind it":           {change: func(b string) string { return b + "more" }, state: Wrong, detail: "4 more follow it"},
		"read as text":             {change: func(b string) string { return strings.ToValidUTF8(b, "\ufffd") }, state: Wrong, detail: "read as text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Check(captured(t, func(h map[string]string, body *string) {
				*body = packed(t, []byte(*body))
				h["content-length"] = fmt.Sprint(len(*body))
				if !c.noHeader {
					h["content-encoding"] = "gzip"
				}
				if c.change != nil {
					*body = c.change(*body)
				}
			}), testSecret, time.Time{})
			text, _ := json.Marshal(r)
			if len(r.Findings) != 5 || r.Verified != (c.state == OK) {
				t.Fatalf("verified: %t: %s", r.Verified, text)
			}
			if f := r.Findings[4]; f.Part != "body" || f.State != c.state || !strings.Contains(f.Detail, c.detail) || f.State != OK && f.Next == "" {
				t.Errorf("got %+v, want %s: %s", f, c.state, c.detail)
			}
		})
	}
}

func TestGzipIsBounded(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	for size, want := range map[int]string{most: "", most + 1: "more than 1 MiB", 20 * most: "more than 1 MiB"} {
		plain, err := unpacked([]byte(packed(t, make([]byte, size))), most)
		if want == "" && (err != nil || len(plain) != size) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d bytes: got %d, %v, want %q", size, len(plain), err, want)
		}
	}
}
