package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/subscriptions"
)

// feedAt is where the n-th event stands.
func feedAt(n int) cdc.Position { return cdc.Position{Epoch: 1, Commit: cdc.LSN(n), Ordinal: 1} }

// fakeFeed has the same events for every subscription: the store's own is tested in internal/store and internal/app. What is
// before the third event has been dropped.
type fakeFeed struct {
	mu        sync.Mutex
	elements  []api.FeedElement
	followers map[*fakeFollower]bool
	followed  chan struct{}
	asked     []api.FeedQuery
	scopes    []subscriptions.Scope
	// most is how many may wait.
	most int
}

func newFeed() *fakeFeed {
	f := &fakeFeed{followers: map[*fakeFollower]bool{}, followed: make(chan struct{}, 100), most: 10}
	for range 5 {
		f.add()
	}
	return f
}

func (f *fakeFeed) add() {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.elements) + 1
	f.elements = append(f.elements, api.FeedElement{Position: feedAt(n), Type: "contact.create", Body: fmt.Appendf(nil, "{\"id\":\"evt_%d\",\n\"data\":{}}", n)})
	for w := range f.followers {
		select {
		case w.news <- struct{}{}:
		default:
		}
	}
}

func (f *fakeFeed) Page(_ context.Context, _ *subscriptions.Subscription, q api.FeedQuery) (*api.FeedPage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, q)
	newest := f.elements[len(f.elements)-1].Position
	p := &api.FeedPage{Next: q.From, Settled: newest}
	if q.Latest {
		p.Next = newest
		return p, nil
	}
	if !q.Oldest && !q.Descending && q.From.Compare(feedAt(2)) < 0 {
		return nil, &api.CursorError{Oldest: feedAt(2), Reason: "events behind it are gone"}
	}
	all := slices.Clone(f.elements[2:])
	if q.Descending {
		slices.Reverse(all)
	}
	for _, e := range all {
		switch c := e.Position.Compare(q.From); {
		case q.Descending && !q.From.IsZero() && c >= 0, !q.Descending && c <= 0:
		case len(p.Elements) == q.Limit:
			p.More = true
		default:
			p.Elements, p.Next = append(p.Elements, e), e.Position
		}
	}
	return p, nil
}

func (f *fakeFeed) Events(ctx context.Context, scope subscriptions.Scope, q api.FeedQuery, _ string) (*api.FeedPage, error) {
	f.mu.Lock()
	f.scopes = append(f.scopes, scope)
	f.mu.Unlock()
	p, err := f.Page(ctx, nil, q)
	if p != nil && p.More {
		p.LookedBack = time.Date(2026, 11, 22, 4, 54, 2, 0, time.UTC)
	}
	return p, err
}

func (f *fakeFeed) Formats() []string { return []string{"standard", "thin"} }

type fakeFollower struct {
	feed *fakeFeed
	news chan struct{}
}

func (w *fakeFollower) News() <-chan struct{} { return w.news }
func (w *fakeFollower) Close() {
	w.feed.mu.Lock()
	defer w.feed.mu.Unlock()
	delete(w.feed.followers, w)
}

func (f *fakeFeed) Follow(subscriptions.Scope, *subscriptions.Subscription) (api.Follower, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.followers) >= f.most {
		return nil, api.TooMany("enough", time.Second)
	}
	w := &fakeFollower{f, make(chan struct{}, 1)}
	f.followers[w] = true
	f.followed <- struct{}{}
	return w, nil
}

func (f *fakeFeed) waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.followers)
}

// feedBench is a server with a feed, and a subscription of account 1.
func feedBench(t *testing.T, changes ...func(*api.Config)) (*bench, *fakeFeed, string) {
	t.Helper()
	f := newFeed()
	b := start(t, append([]func(*api.Config){whole, func(c *api.Config) { c.Feed = f }}, changes...)...)
	s := make1(t, b.client(tokenOne))
	return b, f, "/api/v1/subscription/" + s.ID + "/event/"
}

func idsOf(t *testing.T, body string) string {
	t.Helper()
	var elements []struct{ ID string }
	if err := json.Unmarshal([]byte(body), &elements); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	ids := make([]string, len(elements))
	for i, e := range elements {
		ids[i] = strings.TrimPrefix(e.ID, "evt_")
	}
	return strings.Join(ids, " ")
}

// TestFeedPages: what each way of asking finds, and where it goes on.
func TestFeedPages(t *testing.T) {
	t.Parallel()
	b, _, path := feedBench(t)
	for query, want := range map[string]struct {
		ids, cursor, next string
	}{
		"":                                     {"5 4 3", feedAt(5).String(), ""},
		"?limit=2":                             {"5 4", feedAt(5).String(), "before=" + feedAt(4).String() + "&limit=2"},
		"?before=" + feedAt(4).String():        {"3", feedAt(5).String(), ""},
		"?after=oldest":                        {"3 4 5", feedAt(5).String(), "after=" + feedAt(5).String()},
		"?after=oldest&limit=1":                {"3", feedAt(3).String(), "after=" + feedAt(3).String() + "&limit=1"},
		"?after=latest":                        {"", feedAt(5).String(), "after=" + feedAt(5).String()},
		"?after=" + feedAt(3).String():         {"4 5", feedAt(5).String(), "after=" + feedAt(5).String()},
		"?after=" + feedAt(9).String():         {"", feedAt(9).String(), "after=" + feedAt(9).String()},
		"?type=contact.*&type=a.b&missed=true": {"5 4 3", feedAt(5).String(), ""},
	} {
		resp, body := b.do(t, "GET", path+query, tokenOne, "", "")
		next := ""
		if link := resp.Header.Get("Link"); link != "" {
			next = strings.TrimSuffix(strings.TrimPrefix(link, "<"+path+"?"), `>; rel="next"`)
		}
		if resp.StatusCode != 200 || idsOf(t, body) != want.ids || resp.Header.Get("Rowhook-Cursor") != want.cursor || next != want.next {
			t.Errorf("%s: %s %s, cursor %s, next %q, want %+v", query, resp.Status, body, resp.Header.Get("Rowhook-Cursor"), next, want)
		}
	}
	for query, want := range map[string]string{
		"?after=x": "after is not a position", "?before=1": "before is not a position", "?wait=5s": "wait needs after", "?after=latest&wait=5": "wait is not a duration",
		"?after=latest&wait=61s": "wait is not a duration", "?missed=x": "missed is neither", "?since=x": "since is not a parameter", "?limit=0": "limit",
		"?after=latest&before=" + feedAt(1).String(): "before does not go with after", "?limit=1&limit=2": "limit is given more than once",
	} {
		if resp, body := b.do(t, "GET", path+query, tokenOne, "", ""); resp.StatusCode != 400 || !strings.Contains(body, want) {
			t.Errorf("%s: %s %s, want %q", query, resp.Status, body, want)
		}
	}
	resp, body := b.do(t, "GET", path+"?after="+feedAt(1).String(), tokenOne, "", "")
	var p client.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil || resp.StatusCode != 410 || p.Type != "cursor-gone" || p.Oldest != feedAt(2).String() {
		t.Errorf("a cursor that is too old: %s %s", resp.Status, body)
	}
	// The subscription is another account's.
	if resp, body := b.do(t, "GET", path, tokenTwo, "", ""); resp.StatusCode != 404 {
		t.Errorf("another account: %s %s", resp.Status, body)
	}
}

// TestEventsAreAskedForTheCaller: who may see what is decided by the login, and by nothing else.
func TestEventsAreAskedForTheCaller(t *testing.T) {
	t.Parallel()
	b, f, _ := feedBench(t)
	for _, token := range []string{tokenOne, tokenAdmin} {
		if resp, body := b.do(t, "GET", "/api/v1/event/?after=oldest&type=contact.*&since=2026-11-22T04:54:02Z&format=thin", token, "", ""); resp.StatusCode != 200 || idsOf(t, body) != "3 4 5" {
			t.Errorf("%s %s", resp.Status, body)
		}
	}
	if want := []subscriptions.Scope{{Account: "1"}, {Admin: true}}; !slices.Equal(f.scopes, want) {
		t.Errorf("asked for %v, want %v", f.scopes, want)
	}
	if q := f.asked[0]; !slices.Equal(q.Resources, []string{"contact"}) || q.Since.IsZero() || !q.Oldest {
		t.Errorf("asked %+v", q)
	}
	b.do(t, "GET", "/api/v1/event/?resource=contact&resource_id=3", tokenOne, "", "")
	if q := f.asked[len(f.asked)-1]; !slices.Equal(q.Resources, []string{"contact"}) || q.Instance != "3" || !q.Descending {
		t.Errorf("asked %+v", q)
	}
	for query, want := range map[string]string{"?limit=1": "2026-11-22T04:54:02Z", "": "", "?limit=1&after=oldest": ""} {
		if resp, body := b.do(t, "GET", "/api/v1/event/"+query, tokenOne, "", ""); resp.Header.Get("Rowhook-Looked-Back") != want {
			t.Errorf("%s: looked back to %q, %s", query, resp.Header.Get("Rowhook-Looked-Back"), body)
		}
	}
	for query, want := range map[string]string{"?resource=contact&type=contact.update": "does not go with type", "?wait=1s": "wait is not a parameter", "?account=2": "account is not a parameter", "?format=rest_hooks": "format is", "?until=1": "until is not a time"} {
		if resp, body := b.do(t, "GET", "/api/v1/event/"+query, tokenOne, "", ""); resp.StatusCode != 400 || !strings.Contains(body, want) {
			t.Errorf("%s: %s %s", query, resp.Status, body)
		}
	}
}

// asking does a request in the background.
func asking(t *testing.T, b *bench, path, token string) <-chan string {
	t.Helper()
	done := make(chan string, 1)
	go func() {
		resp, body := b.do(t, "GET", path, token, "", "")
		done <- fmt.Sprint(resp.StatusCode, " ", strings.TrimSpace(body))
	}()
	return done
}

func answerOf(t *testing.T, done <-chan string) string {
	t.Helper()
	select {
	case got := <-done:
		return got
	case <-time.After(time.Minute):
		t.Fatal("there is no answer")
		return ""
	}
}

// TestFeedWaits: a long poll is answered by what comes, by the end of its time, of its subscription, of its server, and at
// once where there is something, or where nothing will be.
func TestFeedWaits(t *testing.T) {
	t.Parallel()
	b, f, path := feedBench(t)
	latest := path + "?after=latest&wait="
	done := asking(t, b, latest+"60s", tokenOne)
	<-f.followed
	f.add()
	if got := answerOf(t, done); !strings.HasPrefix(got, "200") || !strings.Contains(got, "evt_6") {
		t.Errorf("news: %s", got)
	}
	if got := answerOf(t, asking(t, b, latest+"20ms", tokenOne)); got != "200 []" {
		t.Errorf("its time is over: %s", got)
	}
	<-f.followed
	if got := answerOf(t, asking(t, b, path+"?after=oldest&wait=60s", tokenOne)); !strings.Contains(got, "evt_3") {
		t.Errorf("there is something: %s", got)
	}
	done = asking(t, b, latest+"60s", tokenOne)
	<-f.followed
	b.change(t, func(s *subscriptions.Subscription) { s.State = subscriptions.Disabled })
	f.nudge()
	if got := answerOf(t, done); got != "200 []" {
		t.Errorf("disabled meanwhile: %s", got)
	}
	if got := answerOf(t, asking(t, b, latest+"60s", tokenOne)); got != "200 []" {
		t.Errorf("disabled: %s", got)
	}
	b.change(t, func(s *subscriptions.Subscription) { s.State = subscriptions.Active })
	f.mu.Lock()
	f.most = 1
	f.mu.Unlock()
	done = asking(t, b, latest+"60s", tokenOne)
	<-f.followed
	if got := answerOf(t, asking(t, b, latest+"60s", tokenOne)); !strings.HasPrefix(got, "429") {
		t.Errorf("too many: %s", got)
	}
	b.server.Retire()
	if got := answerOf(t, done); got != "200 []" {
		t.Errorf("the server stops: %s", got)
	}
	if n := f.waiting(); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

// endlessFeed selects nothing of all that there is, and has never seen all of it.
type endlessFeed struct {
	*fakeFeed
	pages atomic.Int64
}

func (f *endlessFeed) Page(context.Context, *subscriptions.Subscription, api.FeedQuery) (*api.FeedPage, error) {
	return &api.FeedPage{Next: feedAt(int(f.pages.Add(1))), Settled: feedAt(1 << 40), More: true}, nil
}

// TestFeedGoesThroughMuch: whoever selects little of much is told how far it was looked for, when its time is over; a stream on its
// way through much ends as one that waits does.
func TestFeedGoesThroughMuch(t *testing.T) {
	t.Parallel()
	f := &endlessFeed{fakeFeed: newFeed()}
	b, _, path := feedBench(t, func(c *api.Config) { c.Feed = f })
	b.server.SetPulse(10 * time.Millisecond)
	wait, _ := http.NewRequestWithContext(t.Context(), "GET", b.url+path+"?after=oldest&wait=20ms", nil)
	wait.Header.Set("Authorization", "Bearer "+tokenOne)
	resp, err := http.DefaultTransport.RoundTrip(wait)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Link"), "after="+resp.Header.Get("Rowhook-Cursor")) {
		t.Errorf("its time is over: %s %v", resp.Status, resp.Header)
	}

	token, err := b.client(tokenAdmin).CreateToken(t.Context(), client.NewToken{Account: "1"})
	if err != nil {
		t.Fatal(err)
	}
	revoked, stopped := b.stream(t, path+"?after=oldest", token.Token, nil), b.stream(t, path+"?after=oldest", tokenOne, nil)
	if err := b.client(tokenAdmin).DeleteToken(t.Context(), token.ID); err != nil {
		t.Fatal(err)
	}
	if event, at, reason := revoked.next(); event != "rowhook.end" || at == "" || reason != `{"reason":"401 Unauthorized"}` {
		t.Errorf("its token is deleted: %q at %q %s", event, at, reason)
	}
	b.server.Retire()
	if event, _, _ := stopped.next(); event != "rowhook.end" {
		t.Errorf("the server stops: %q", event)
	}
}

// nudge lets those who wait look again, though there is nothing.
func (f *fakeFeed) nudge() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.followers {
		select {
		case w.news <- struct{}{}:
		default:
		}
	}
}

// reading is a stream of server-sent events.
type reading struct {
	t     *testing.T
	resp  *http.Response
	lines *bufio.Scanner
}

func (b *bench) stream(t *testing.T, path, token string, headers map[string]string) *reading {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", b.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+token)
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return &reading{t, resp, bufio.NewScanner(resp.Body)}
}

// next is the next block that has data: its event, its id and its data.
func (r *reading) next() (event, id, data string) {
	r.t.Helper()
	for r.lines.Scan() {
		name, value, _ := strings.Cut(r.lines.Text(), ": ")
		switch name {
		case "event":
			event = value
		case "id":
			id = value
		case "data":
			data += value
		case "":
			if data != "" {
				return event, id, data
			}
		}
	}
	return "", "", ""
}

// TestFeedStreams: server-sent events begin where they are asked to, go on with what comes, and end with a reason.
func TestFeedStreams(t *testing.T) {
	t.Parallel()
	b, f, path := feedBench(t)
	b.server.SetPulse(10 * time.Millisecond)
	r := b.stream(t, path+"?after=oldest", tokenOne, map[string]string{"Last-Event-ID": feedAt(4).String()})
	if r.resp.StatusCode != 200 || r.resp.Header.Get("Content-Type") != "text/event-stream" || r.resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s %v", r.resp.Status, r.resp.Header)
	}
	want := func(r *reading, event, id, data string) {
		t.Helper()
		if e, i, d := r.next(); e != event || id != "" && i != id || d != data {
			t.Errorf("%q %q %q, want %q %q %q", e, i, d, event, id, data)
		}
	}
	want(r, "contact.create", feedAt(5).String(), `{"id":"evt_5","data":{}}`)
	f.add()
	want(r, "contact.create", feedAt(6).String(), `{"id":"evt_6","data":{}}`)
	// Without a place it begins with what is to come; the id tells the place before anything has.
	now := b.stream(t, path, tokenOne, nil)
	<-f.followed
	<-f.followed
	f.add()
	want(now, "contact.create", feedAt(7).String(), `{"id":"evt_7","data":{}}`)
	want(r, "contact.create", feedAt(7).String(), `{"id":"evt_7","data":{}}`)
	b.change(t, func(s *subscriptions.Subscription) { s.State = subscriptions.Disabled })
	want(r, "rowhook.end", "", `{"reason":"the subscription is disabled"}`)
	want(now, "rowhook.end", "", `{"reason":"the subscription is disabled"}`)
	for headers, status := range map[string]int{"": 409, "x": 400} {
		if r := b.stream(t, path, tokenOne, map[string]string{"Last-Event-ID": headers}); r.resp.StatusCode != status {
			t.Errorf("%q of a disabled one: %s, want %d", headers, r.resp.Status, status)
		}
	}
	b.change(t, func(s *subscriptions.Subscription) { s.State = subscriptions.Active })
	if r := b.stream(t, path, tokenOne, map[string]string{"Last-Event-ID": feedAt(1).String()}); r.resp.StatusCode != 410 {
		t.Errorf("a place that is gone: %s", r.resp.Status)
	}

	// A token that is deleted ends its stream; so does the subscription's end, and the server's.
	token, err := b.client(tokenAdmin).CreateToken(t.Context(), client.NewToken{Account: "1"})
	if err != nil {
		t.Fatal(err)
	}
	revoked := b.stream(t, path, token.Token, nil)
	if err := b.client(tokenAdmin).DeleteToken(t.Context(), token.ID); err != nil {
		t.Fatal(err)
	}
	want(revoked, "rowhook.end", "", `{"reason":"401 Unauthorized"}`)
	deleted := b.stream(t, path, tokenOne, nil)
	if resp, body := b.do(t, "DELETE", strings.TrimSuffix(path, "event/"), tokenOne, "", ""); resp.StatusCode != 204 {
		t.Fatal(body)
	}
	want(deleted, "rowhook.end", "", `{"reason":"404 Not Found"}`)
	s := make1(t, b.client(tokenOne))
	stopped := b.stream(t, "/api/v1/subscription/"+s.ID+"/event/", tokenOne, nil)
	b.server.Retire()
	if event, _, _ := stopped.next(); event != "rowhook.end" {
		t.Errorf("the server stops: %q", event)
	}
	deadline, tick := time.After(30*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for f.waiting() > 0 {
		select {
		case <-tick.C:
			f.nudge()
		case <-deadline:
			t.Fatalf("%d still wait", f.waiting())
		}
	}
}
