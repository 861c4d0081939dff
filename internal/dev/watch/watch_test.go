package watch

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// post sends a hook as rowhook does, signed by the library of Standard Webhooks.
func post(t *testing.T, url, key, kind, data string) {
	t.Helper()
	now := time.Now()
	body := `{"type":"` + kind + `","timestamp":"` + now.UTC().Format(time.RFC3339Nano) + `","data":` + data + `,"position":"01"}`
	w, err := standardwebhooks.NewWebhook(key)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := w.Sign("evt_1", now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("webhook-id", "evt_1")
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", signature)
	req.Header.Set("webhook-type", kind)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

func TestWatcher(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	seen := make(chan Hook, 20)
	w, err := Start(Options{Out: &out, Keys: map[string][]string{"line_item": {"order", "line"}}, OnHook: func(h Hook) { seen <- h }})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Trust("/hooks", secret)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })

	post(t, w.URL("/hooks"), secret, "contact.create", `{"id":1,"name":"Ada","tags":["a"]}`)
	post(t, w.URL("/hooks"), secret, "contact.update", `{"id":1,"name":"Ada","tags":["b"]}`)
	post(t, w.URL("/hooks"), "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcg==", "contact.update", `{"id":1,"name":"Mallory","tags":["b"]}`)
	post(t, w.URL("/mine"), secret, "contact.update", `{"id":1}`)
	post(t, w.URL("/hooks"), secret, "line_item.create", `{"order":7,"line":"x","note":"`+strings.Repeat("é", 200)+`"}`)
	post(t, w.URL("/hooks"), secret, "contact.create", `{"id":2,"name":"a\u001b[2J`+"\u009b"+`b"}`)
	post(t, w.URL("/hooks"), secret, "contact.truncate", `null`)
	for range 7 {
		select {
		case h := <-seen:
			if h.Latency < 0 || h.Latency > 10*time.Second {
				t.Errorf("latency is %s", h.Latency)
			}
		case <-time.After(60 * time.Second):
			t.Fatal("a hook was not seen within 10 s")
		}
	}
	stop()
	running.Wait()

	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{
		`signature ok  {"id":1,"name":"Ada","tags":["a"]}`,
		`signature ok  {…"tags":["b"]…}`,
		`BAD SIGNATURE: `,
		`not checked   at /mine  {"id":1}`,
		`line_item/7,x `,
		`signature ok  {"id":2,`,
		`signature ok  null`,
	} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Errorf("line %d: want %q in it; got\n%s", i+1, want, out.String())
		}
	}
	if !strings.HasSuffix(lines[4], "…") {
		t.Errorf("a long body is not cut: %s", lines[4])
	}
	if strings.ContainsAny(out.String(), "\x1b\u009b") {
		t.Error("a row's content reaches the terminal raw")
	}
}

func TestCloseLetsNobodyWait(t *testing.T) {
	t.Parallel()
	w, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	post(t, w.URL("/hooks"), secret, "contact.create", `{"id":1}`)
	w.Close()
	w.Close()
}
