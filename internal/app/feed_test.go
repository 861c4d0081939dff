package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// feedEvent is what tests look at of an element in the format standard.
type feedEvent struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Position string `json:"position"`
	Data     struct {
		ID int `json:"id"`
	} `json:"data"`
}

func feedEvents(t *testing.T, page *client.EventPage) (all []feedEvent) {
	t.Helper()
	for _, raw := range page.Events {
		var e feedEvent
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		all = append(all, e)
	}
	return all
}

// feedOf reads a feed until it has n events, and returns all of it.
func (r *rig) feedOf(c *client.Client, id string, q client.FeedQuery, n int) (page *client.EventPage) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("the feed has %d events", n), func() bool {
		var err error
		if page, err = c.Feed(r.t.Context(), id, q); err != nil {
			r.t.Fatal(err)
		}
		return len(page.Events) >= n
	})
	if len(page.Events) != n {
		r.t.Errorf("the feed has %d events, want %d: %s", len(page.Events), n, page.Events)
	}
	return page
}

// TestFeed: what a feed shows, to whom, in whose form, and when.
func TestFeed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.recv.Handle("/hang", hooktest.ForInstance("contact/3", hooktest.Always(hooktest.Hang()), hooktest.Always(hooktest.OK())))
	r.recv.Handle("/fails", hooktest.If(func(q hooktest.Request) bool { return strings.HasSuffix(q.Instance(), "/2") }, hooktest.Always(hooktest.Status(500)), hooktest.Always(hooktest.OK())))
	stop := r.start()
	acme, other := r.client("acme-token-0123456789"), r.client("other-token-012345678")
	make := func(c *client.Client, s client.Subscription) string {
		t.Helper()
		made, err := c.Create(t.Context(), &s)
		if err != nil {
			t.Fatal(err)
		}
		return made.ID
	}
	hook := r.subscribe("/").ID
	thin := make(r.admin(), client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL("/thin"), Request: client.Request{Format: "thin"}})
	mine := make(acme, client.Subscription{Events: []string{"*"}, FeedOnly: true})
	theirs := make(other, client.Subscription{Events: []string{"*"}, FeedOnly: true})
	fails := make(r.admin(), client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL("/fails")})
	shadow := make(r.admin(), client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL("/shadow"), State: "shadow"})

	// A long poll is answered by what commits.
	news := func(c *client.Client, id string) <-chan string {
		done := make1(t, c, id)
		return done
	}
	waits := news(acme, mine)
	r.insertContact(1, 1)
	select {
	case got := <-waits:
		if !strings.Contains(got, `"type":"contact.create"`) {
			t.Errorf("the long poll: %s", got)
		}
	case <-time.After(patience):
		t.Fatal("the long poll is not answered")
	}
	r.insertContact(2, 2)
	r.exec(`update contacts set account_id = 1 where id = 2`) // a delete for 2, a create for 1, an update for the admin
	r.exec(`insert into notes values (1, 'x')`)

	// Bodies are those of the hooks, with the id in front.
	page := r.feedOf(r.admin(), hook, client.FeedQuery{After: "oldest"}, 4)
	sent := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(hooktest.Delivered(q))["/"]) == 4 })
	for i, q := range hooktest.ByPath(hooktest.Delivered(sent))["/"] {
		want := `{"id":"` + q.ID + `",` + strings.TrimPrefix(string(q.Body), "{")
		if !slices.ContainsFunc(page.Events, func(e json.RawMessage) bool { return string(e) == want }) {
			t.Errorf("hook %d: the feed lacks %s: %s", i, want, page.Events)
		}
	}
	thins := r.feedOf(r.admin(), thin, client.FeedQuery{After: "oldest"}, 3)
	for _, q := range hooktest.ByPath(sent)["/thin"] {
		want := `{"event_id":"` + q.ID + `",` + strings.TrimPrefix(string(q.Body), "{")
		if !slices.ContainsFunc(thins.Events, func(e json.RawMessage) bool { return string(e) == want }) {
			t.Errorf("the feed lacks %s: %s", want, thins.Events)
		}
	}
	types := func(page *client.EventPage) string {
		var all []string
		for _, e := range feedEvents(t, page) {
			all = append(all, fmt.Sprint(e.Type, " ", e.Data.ID))
		}
		return strings.Join(all, ", ")
	}
	// Newest first, and by type; each account its own.
	for _, c := range []struct {
		of   *client.Client
		id   string
		q    client.FeedQuery
		want string
	}{
		{acme, mine, client.FeedQuery{}, "contact.create 2, contact.create 1"},
		{other, theirs, client.FeedQuery{After: "oldest"}, "contact.create 2, contact.delete 2"},
		{r.admin(), shadow, client.FeedQuery{After: "oldest"}, "contact.create 1, contact.create 2, contact.update 2"},
		{r.admin(), shadow, client.FeedQuery{After: "oldest", ResourceID: "2", Types: []string{"contact.create"}}, "contact.create 2"},
		{r.admin(), hook, client.FeedQuery{After: "oldest", Missed: true}, ""},
		{r.admin(), fails, client.FeedQuery{After: "oldest", Missed: true}, "contact.create 2, contact.update 2"},
		{r.admin(), mine, client.FeedQuery{}, "contact.create 2, contact.create 1"},
	} {
		n := 0
		if c.want != "" {
			n = strings.Count(c.want, ",") + 1
		}
		if got := types(r.feedOf(c.of, c.id, c.q, n)); got != c.want {
			t.Errorf("%+v: %s, want %s", c.q, got, c.want)
		}
	}
	for _, c := range []struct {
		of   *client.Client
		q    client.EventQuery
		want string
	}{
		{acme, client.EventQuery{After: "oldest"}, "contact.create 1, contact.create 2"},
		{other, client.EventQuery{After: "oldest"}, "contact.create 2, contact.delete 2"},
		{r.admin(), client.EventQuery{}, "note.create 1, contact.update 2, contact.create 2, contact.create 1"},
		{r.admin(), client.EventQuery{Types: []string{"note.*"}, Since: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}, "note.create 1"},
		{r.admin(), client.EventQuery{After: "oldest", Until: time.Now().Add(-time.Hour)}, ""},
	} {
		page, err := c.of.Events(t.Context(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		if got := types(page); got != c.want {
			t.Errorf("events %+v: %s, want %s", c.q, got, c.want)
		}
	}
	if _, err := other.Feed(t.Context(), mine, client.FeedQuery{}); !isStatus(err, http.StatusNotFound) {
		t.Errorf("another account's feed: %v", err)
	}

	// What hangs holds back the watermark: what came after it is delivered, and not shown until it is stored.
	hang := make(r.admin(), client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL("/hang")})
	r.insertContact(3, 1)
	r.insertContact(4, 1)
	if got := types(r.feedOf(r.admin(), hang, client.FeedQuery{After: "oldest"}, 2)); got != "contact.create 3, contact.create 4" {
		t.Errorf("behind what hangs: %s", got)
	}

	// A stream goes on where it was.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", r.api+"/api/v1/subscription/"+mine+"/event/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+acme.Token)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", feedEvents(t, page)[0].Position)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	data := func() string {
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return text
			}
		}
		return ""
	}
	for _, want := range []string{`"id":2,`, `"id":3,`, `"id":4,`} {
		if got := data(); !strings.Contains(got, want) {
			t.Errorf("the stream: %s, want %s", got, want)
		}
	}
	r.insertContact(5, 1)
	if got := data(); !strings.Contains(got, `"id":5,`) {
		t.Errorf("the stream goes on with %s", got)
	}
	r.recv.Release()
	stop()
	if got := data(); !strings.Contains(got, "reason") {
		t.Errorf("the stream ends with %q", got)
	}
}

// make1 asks for what is to come, and returns when it waits for it.
func make1(t *testing.T, c *client.Client, id string) <-chan string {
	t.Helper()
	page, err := c.Feed(t.Context(), id, client.FeedQuery{After: "latest"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string, 1)
	go func() {
		for page, err := range c.FollowFeed(t.Context(), id, client.FeedQuery{After: page.Cursor}) {
			if err != nil || len(page.Events) > 0 {
				done <- fmt.Sprint(err, " ", string(bytes.Join(rawOf(page), []byte(" "))))
				return
			}
		}
	}()
	return done
}

func rawOf(page *client.EventPage) (all [][]byte) {
	if page != nil {
		for _, e := range page.Events {
			all = append(all, e)
		}
	}
	return all
}

func isStatus(err error, status int) bool {
	var e *client.Error
	return errors.As(err, &e) && e.Status == status
}

// TestFeedReadersMissNothing commits from several connections at once, with targets that fail and hang, kills the process that
// reads the slot again and again while another stands by, and has readers with cursors ask both: each sees every event once, in the
// order of the commits.
func TestFeedReadersMissNothing(t *testing.T) {
	t.Parallel()
	const contacts, writers, kills = 240, 4, 2
	r := newRig(t, hooktest.FailRate(0.3, 7, hooktest.Status(503)))
	r.recv.Handle("/hangs", hooktest.If(func(q hooktest.Request) bool { return strings.HasSuffix(q.Instance(), "7") && q.Attempt == 1 },
		hooktest.Always(hooktest.Hang()), hooktest.FailRate(0.2, 8, hooktest.Status(500))))
	r.text = strings.Replace(r.text, "timeout: 2s", "timeout: 500ms", 1)
	owner := r.spawn()
	apis := []string{r.api}
	standby := r.spawn()
	apis = append(apis, r.api)
	var ids []string
	for _, path := range []string{"/", "/hangs"} {
		ids = append(ids, r.subscribe(path, "contact.*").ID)
	}
	feed, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, FeedOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	ids = append(ids, feed.ID)
	var mu sync.Mutex // of apis
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()

	seen := make([][]feedEvent, len(ids))
	var readers sync.WaitGroup
	for i, id := range ids {
		readers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 3))
			cursor := "oldest"
			for len(seen[i]) < contacts && ctx.Err() == nil {
				mu.Lock()
				c := &client.Client{URL: apis[random.IntN(len(apis))] + "/api/v1", Token: "admin-token-0123456789"}
				mu.Unlock()
				page, err := c.Feed(ctx, id, client.FeedQuery{After: cursor, Limit: 1 + random.IntN(20), Wait: 500 * time.Millisecond})
				if err != nil {
					var answered *client.Error
					if errors.As(err, &answered) && answered.Status != http.StatusServiceUnavailable {
						t.Errorf("reader %d: %v", i, err)
						return
					}
					select { // it was killed, or starts
					case <-ctx.Done():
					case <-time.After(20 * time.Millisecond):
					}
					continue
				}
				cursor = page.Cursor
				seen[i] = append(seen[i], feedEvents(t, page)...)
			}
		})
	}
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			conn, err := pgx.Connect(ctx, r.url)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
			random := rand.New(rand.NewPCG(uint64(w), 4))
			for n := w; n < contacts; {
				// Long and short transactions, whose rows stand between each other's in the log.
				err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
					for range 1 + random.IntN(4) {
						if n >= contacts {
							break
						}
						if _, err := tx.Exec(ctx, `insert into contacts (id, account_id, first_name, last_name) values ($1, 1, 'A', 'B')`, n+1); err != nil {
							return err
						}
						if _, err := tx.Exec(ctx, `select pg_sleep($1)`, 0.03*random.Float64()); err != nil {
							return err
						}
						n += writers
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range kills {
		before := len(r.recv.Requests())
		eventually(t, "something is sent", func() bool { return len(r.recv.Requests()) > before+30 })
		kill(t, owner)
		mu.Lock()
		r.api = apis[1]
		mu.Unlock()
		r.isGreen()
		owner = standby
		standby = r.spawn()
		mu.Lock()
		apis = []string{apis[1], r.api}
		mu.Unlock()
	}
	writing.Wait()
	readers.Wait()
	for i, got := range seen {
		if !slices.IsSortedFunc(got, func(a, b feedEvent) int { return strings.Compare(a.Position, b.Position) }) {
			t.Errorf("reader %d: positions do not grow", i)
		}
		byID := map[int]bool{}
		for _, e := range got {
			if byID[e.Data.ID] {
				t.Errorf("reader %d has contact %d twice", i, e.Data.ID)
			}
			byID[e.Data.ID] = true
		}
		if len(byID) != contacts {
			t.Errorf("reader %d has seen %d of %d contacts", i, len(byID), contacts)
		}
		// What is there at the end is what was seen.
		var all []feedEvent
		for q := (client.FeedQuery{After: "oldest", Limit: 1000}); ; {
			page, err := r.admin().Feed(t.Context(), ids[i], q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Events) == 0 {
				break
			}
			all, q.After = append(all, feedEvents(t, page)...), page.Cursor
		}
		if !slices.Equal(all, got) {
			t.Errorf("reader %d has seen %d events, and the feed has %d, or others", i, len(got), len(all))
		}
	}
}
