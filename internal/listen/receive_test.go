package listen

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// receiving is a receiver that runs.
type receiving struct {
	t          *testing.T
	out, notes text
	url        string
	stop       func() Summary
}

func receive(t *testing.T, o ReceiveOptions) *receiving {
	t.Helper()
	r := &receiving{t: t}
	o.Out, o.Notes, o.Bind, o.Secret = &r.out, &r.notes, "127.0.0.1:0", testSecret
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var sum Summary
	var err error
	go func() {
		defer close(done)
		sum, err = Receive(ctx, o)
	}()
	r.stop = func() Summary {
		cancel()
		<-done
		if err != nil {
			t.Error(err)
		}
		return sum
	}
	t.Cleanup(func() { r.stop() })
	at := regexp.MustCompile(`receiving at (\S+)/\n`)
	eventually(t, "it receives", func() bool { return at.MatchString(r.notes.String()) })
	r.url = at.FindStringSubmatch(r.notes.String())[1] + "/hooks"
	return r
}

// send sends event n of a contact, and returns the status, 0 where there is none.
func (r *receiving) send(n int, change func(*sender.Composed)) int {
	r.t.Helper()
	ev := &mapping.Event{ID: fmt.Sprint("evt_", n), Type: "contact.update", Resource: "contact", Instance: "7", Position: cdc.Position{Epoch: 1, Commit: cdc.LSN(n)},
		Time: time.Now(), Data: fmt.Appendf(nil, `{"id":7,"n":%d,"name":"\u001b]0;x"}`, n)}
	s := &subscriptions.Subscription{TargetURL: secret.String(r.url), Secrets: []subscriptions.SigningSecret{{Secret: testSecret}}}
	q, err := sender.Compose(s, ev, sender.Composing{Number: 1, At: time.Now()})
	if err != nil {
		r.t.Fatal(err)
	}
	if change != nil {
		change(q)
	}
	f := newForwarder(patience)
	defer f.close()
	a, _ := f.send(r.t.Context(), q)
	return a.Status
}

// TestReceive shows what arrives, and what is wrong with it.
func TestReceive(t *testing.T) {
	t.Parallel()
	r := receive(t, ReceiveOptions{Output: Output{JSON: true}, Status: 500, Drip: time.Millisecond})
	for _, n := range []int{1, 3, 3, 2} {
		if status := r.send(n, nil); status != 200 {
			t.Errorf("%d: %d", n, status)
		}
	}
	r.send(4, func(q *sender.Composed) { q.Body = []byte(strings.Replace(string(q.Body), `"n":4`, `"n":5`, 1)) })
	// One that was taken comes again twice, and is spoiled the first time.
	r.send(3, func(q *sender.Composed) { q.Body = []byte(strings.Replace(string(q.Body), `"n":3`, `"n":5`, 1)) })
	r.send(3, nil)
	for _, q := range []struct{ query, header, want string }{{"?challenge=abc", "", "abc"}, {"", "value", ""}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+q.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		if q.header != "" {
			req.Header.Set("X-Hook-Secret", q.header)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, 3)
		n, _ := resp.Body.Read(body)
		_ = resp.Body.Close()
		if string(body[:n]) != q.want || resp.Header.Get("X-Hook-Secret") != q.header {
			t.Errorf("%+v: %s %v", q, body[:n], resp.Header)
		}
	}
	if sum, want := r.stop(), (Summary{Seen: 7, Failed: 2, Duplicates: 3, OutOfOrder: 1}); sum != want {
		t.Errorf("%+v, want %+v", sum, want)
	}
	var got []string
	for line := range strings.Lines(r.out.String()) {
		var h hook
		if err := json.Unmarshal([]byte(line), &h); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		got = append(got, fmt.Sprint(h.ID, " ", h.Instance, " ", h.Signature, " ", h.Duplicate, h.OutOfOrder, len(h.Changes)))
	}
	want := "evt_1 contact/7 ok false false 0, evt_3 contact/7 ok false false 1, evt_3 contact/7 ok true false 0, evt_2 contact/7 ok false true 0, evt_4 contact/7 bad false false 1, " +
		"evt_3 contact/7 bad true false 0, evt_3 contact/7 ok true false 0"
	if strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
	if notes := r.notes.String(); strings.Count(notes, "asked whether hooks are wanted") != 2 || !strings.Contains(notes, "7 events, 2 failed, 3 came again, 1 out of order") {
		t.Error(notes)
	}
}

// TestReceiveFails fails in each way.
func TestReceiveFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o      ReceiveOptions
		status int
		shows  string
	}{
		"Status": {ReceiveOptions{Fail: 1, Status: 503, Delay: time.Millisecond}, 503, "→ 503 Service Unavailable"},
		"Never":  {ReceiveOptions{Fail: 0, Status: 503}, 200, "→ 200 OK"},
		"Reset":  {ReceiveOptions{Fail: 1, Reset: true}, 0, "→ the connection was broken"},
	} {
		r := receive(t, c.o)
		if status := r.send(1, nil); status != c.status {
			t.Errorf("%s: %d", name, status)
		}
		// What failed comes again, and is no duplicate.
		_ = r.send(1, nil)
		sum := r.stop()
		if out := r.out.String(); !strings.Contains(out, c.shows) || strings.Contains(out, "\x1b") || !strings.Contains(out, "contact.update  contact/7  ") {
			t.Errorf("%s: %q", name, out)
		}
		if failed := c.status != 200; failed && (sum.Failed != 2 || sum.Duplicates != 0) || !failed && sum.Duplicates != 1 {
			t.Errorf("%s: %+v", name, sum)
		}
	}
	// Who hangs is cut off by the end.
	r := receive(t, ReceiveOptions{Fail: 1, Hang: true})
	cut := make(chan int, 1)
	go func() { cut <- r.send(1, nil) }()
	eventually(t, "it has arrived", func() bool { return strings.Contains(r.out.String(), "→ no answer") })
	r.stop()
	if status := <-cut; status != 0 {
		t.Errorf("answered with %d", status)
	}
}
