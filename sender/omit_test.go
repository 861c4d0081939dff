package sender_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestDataIsLeftOutAboveMaxBody: in every format, alone and in a batch, and the message says so; what is small enough comes whole,
// also beside one that is not.
func TestDataIsLeftOutAboveMaxBody(t *testing.T) {
	t.Parallel()
	const position, at = "0000000100000000000007000000000100000000", `"timestamp":"2026-11-22T01:00:00.123456Z"`
	r := hooktest.New(t)
	cfg := testConfig()
	cfg.Source, cfg.MaxBody = "/rowhook/app", 2<<10
	cfg.Location = func(resource, instance string) string { return "https://api.example.com/" + resource + "/" + instance }
	d := run(t, cfg, newMemory().open())
	large := newEvent(7, "a")
	large.Data = fmt.Appendf(nil, `{"id":"a","pad":%q}`, strings.Repeat("x", 5000))
	for i, c := range []struct {
		request *subscriptions.Request
		batch   bool
		want    string
	}{
		{nil, false, `{"type":"contact.update",` + at + `,"id":"a","url":"https://api.example.com/contact/a","data_omitted":"max_body","position":"` + position + `"}`},
		{nil, true, `[{"id":"evt_7","type":"contact.update",` + at + `,"resource_id":"a","url":"https://api.example.com/contact/a","data_omitted":"max_body","position":"` + position + `"}]`},
		{&subscriptions.Request{Format: "rest_hooks"}, false, `{"hook":{"id":"sub_3","event":"contact.update","target":"` + r.URL("/") + `"},"id":"a","url":"https://api.example.com/contact/a","data_omitted":"max_body","position":"` + position + `"}`},
		{&subscriptions.Request{Format: "rest_hooks"}, true, `[{"id":"evt_7","hook":{"id":"sub_4","event":"contact.update","target":"` + r.URL("/") + `"},"resource_id":"a","url":"https://api.example.com/contact/a","data_omitted":"max_body","position":"` + position + `"}]`},
		{&subscriptions.Request{Format: "cloudevents"}, false, `{"specversion":"1.0","id":"evt_7","source":"/rowhook/app","type":"contact.update","subject":"a","time":"2026-11-22T01:00:00.123456Z","position":"` + position + `","url":"https://api.example.com/contact/a","dataomitted":"max_body"}`},
		{&subscriptions.Request{Encoding: "form", CustomData: []byte(`{"tenant":"acme","url":"mine"}`)}, false, "type=contact.update&timestamp=" + url.QueryEscape("2026-11-22T01:00:00.123456Z") + "&id=a&url=" + url.QueryEscape("https://api.example.com/contact/a") + "&data_omitted=max_body&position=" + position + "&tenant=acme"},
		{&subscriptions.Request{Format: "representation"}, false, string(large.Data)},
	} {
		s := newSubscription(int64(i+1), r.URL("/"))
		s.Request = c.request
		if c.batch {
			batches(s, 10, 0)
		}
		settled(t, d.submit(t, large, s))
		got := r.Requests()[i]
		if string(got.Body) != c.want {
			t.Errorf("%d: got  %s\nwant %s", i, got.Body, c.want)
		}
		omitted := !c.batch && (c.request == nil || c.request.Format != "representation")
		if h := got.Header.Get("Webhook-Data-Omitted"); (h == "max_body") != omitted {
			t.Errorf("%d: webhook-data-omitted is %q", i, h)
		}
		if err := got.Verify(testSecret); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	r.Forget()
	// Several subscriptions share a body, and one of them has a bound of its own.
	whole, small := newSubscription(20, r.URL("/whole")), newSubscription(21, r.URL("/small"))
	whole.Delivery.MaxBody, small.Delivery.MaxBody = 8<<10, 1<<10
	ev := newEvent(8, "a")
	settled(t, d.submit(t, large, whole, small), d.submit(t, ev, batches(newSubscription(22, r.URL("/")), 10, 0)))
	if n := len(hooktest.ByPath(r.Requests())["/whole"][0].Body); n < 5000 {
		t.Errorf("what is within the bound has %d bytes", n)
	}
	if n := len(hooktest.ByPath(r.Requests())["/small"][0].Body); n > 1<<10 {
		t.Errorf("what is not has %d bytes", n)
	}
	// A form may be larger than the JSON that it is made of.
	form := newSubscription(23, r.URL("/form"))
	form.Request = &subscriptions.Request{Encoding: "form"}
	ev = newEvent(9, "a")
	ev.Data = fmt.Appendf(nil, `{"id":"a","pad":%q}`, strings.Repeat("ä", 600))
	settled(t, d.submit(t, ev, form))
	if body := string(hooktest.ByPath(r.Requests())["/form"][0].Body); !strings.Contains(body, "data_omitted=max_body") {
		t.Errorf("a form of %d bytes: %.100s", len(body), body)
	}
	// What rowhook itself has to say is never left out.
	if out := d.Ping(t.Context(), whole); out.Verdict != sender.Delivered {
		t.Errorf("ping: %+v", out)
	}
}

// TestBodiesAreCompressed, by both clients, where there is something to gain; what was signed is the body before.
func TestBodiesAreCompressed(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	d := run(t, testConfig(), newMemory().open())
	for i, c := range []struct {
		size       int
		compressed bool
		format     string
	}{{100, false, ""}, {3000, true, ""}, {200_000, true, ""}, {3000, true, "cloudevents"}} {
		s := newSubscription(int64(i+1), r.URL("/"))
		s.Request = &subscriptions.Request{Compression: "gzip", Format: c.format}
		ev := newEvent(i+1, "a")
		// Text that does not compress well: what is sent of the third is more than the small client takes.
		var pad strings.Builder
		for n := uint64(1); pad.Len() < c.size; n++ {
			fmt.Fprintf(&pad, "%x", n*0x9e3779b97f4a7c15)
		}
		ev.Data = fmt.Appendf(nil, `{"id":"a","pad":%q}`, pad.String())
		settled(t, d.submit(t, ev, s))
		got := r.Requests()[i]
		if (got.Header.Get("Content-Encoding") == "gzip") != c.compressed {
			t.Errorf("%d bytes: content-encoding %q", c.size, got.Header.Get("Content-Encoding"))
		}
		if c.compressed {
			if c.size > 100_000 && len(got.Body) < 64<<10 {
				t.Errorf("only %d bytes were sent", len(got.Body))
			}
			got.Body = inflated(t, got.Body)
		}
		if err := got.Verify(testSecret); err != nil {
			t.Errorf("%d bytes: %v", c.size, err)
		}
		if !bytes.Contains(got.Body, ev.Data) {
			t.Errorf("%d bytes: %.200s", c.size, got.Body)
		}
	}
	s := batches(newSubscription(9, r.URL("/")), 50, time.Minute)
	s.Request = &subscriptions.Request{Compression: "gzip"}
	for i := range 50 {
		d.submit(t, newEvent(100+i, fmt.Sprint(i)), s)
	}
	d.idle(t)
	last := r.Requests()[len(r.Requests())-1]
	if last.Header.Get("Content-Encoding") != "gzip" || len(last.Body) > 4<<10 {
		t.Errorf("a batch of 50: %s, %q", last, last.Header.Get("Content-Encoding"))
	}
}

func inflated(t *testing.T, body []byte) []byte {
	t.Helper()
	in, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
