package api

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/subscriptions"
)

// Feed tells what subscriptions have matched. Its methods are called from many goroutines.
type Feed interface {
	// Page returns a part of a subscription's feed. The error may be a *CursorError.
	Page(ctx context.Context, s *subscriptions.Subscription, q FeedQuery) (*FeedPage, error)
	// Follow tells of news of a subscription's feed, to so many at a time; the error may be that there are too many.
	Follow(scope subscriptions.Scope, s *subscriptions.Subscription) (Follower, error)
	// Events returns a part of all stored events that the scope may see, in one of Formats. The error may be a *CursorError.
	Events(ctx context.Context, scope subscriptions.Scope, q FeedQuery, format string) (*FeedPage, error)
	// Formats are the forms that events have that are of no subscription, the default first.
	Formats() []string
}

// Follower waits for events.
type Follower interface {
	// News is sent to when a page that was empty may not be any more.
	News() <-chan struct{}
	Close()
}

// FeedQuery says which page is wanted.
type FeedQuery struct {
	// From is where it begins, without it; zero is the beginning.
	From cdc.Position
	// Descending is newest first, from From, or the newest, on. Oldest begins with the oldest that is kept, Latest with what is to come.
	Descending, Oldest, Latest bool
	// Types are names of events, Resources those of which all events are wanted; none is all.
	Types, Resources []string
	Instance         string
	// Since and Until bound the time of the commit, both inclusive.
	Since, Until time.Time
	// Missed leaves out what was delivered.
	Missed bool
	// Limit is how many there may be.
	Limit int
}

// FeedPage is a part of a feed.
type FeedPage struct {
	Elements []FeedElement
	// Next is where the next page begins.
	Next cdc.Position
	// More says that there is more now.
	More bool
	// Settled is the last position that could have been shown.
	Settled cdc.Position
	// LookedBack is, of a list of events from the newest on with more behind, when the last one that was looked at was committed.
	LookedBack time.Time
}

// FeedElement is an event of a feed. Body is JSON.
type FeedElement struct {
	Position cdc.Position
	Type     string
	Body     []byte
}

// CursorError says that what comes behind a cursor is not known whole.
type CursorError struct {
	// Oldest is the position from which on everything is there.
	Oldest cdc.Position
	Reason string
}

func (e *CursorError) Error() string { return "the cursor cannot be gone on from: " + e.Reason }

const (
	// maxWait bounds how long a request waits for events.
	maxWait = time.Minute
	// cursorHeader is where the next page begins.
	cursorHeader = "Rowhook-Cursor"
	// lookedHeader is how far back the list of events was looked through, where there is more.
	lookedHeader = "Rowhook-Looked-Back"
)

// events are what has happened.
var events = route{methods: map[string]action{http.MethodGet: (*Server).events}}

var feed = route{waits: true, methods: map[string]action{http.MethodGet: (*Server).feed}}

// feedParameters are what a feed takes.
var feedParameters = []string{"after", "before", "limit", "missed", "resource_id", "type", "wait"}

// eventParameters are what the list of events takes.
var eventParameters = []string{"after", "before", "format", "limit", "resource", "resource_id", "since", "type", "until"}

// events answers with a page of what has happened to the caller's rows.
func (s *Server) events(c call) (answer, error) {
	q, _, err := feedQuery(c, eventParameters)
	if err != nil {
		return answer{}, err
	}
	format := s.config.Feed.Formats()[0]
	if query := c.r.URL.Query(); query.Has("format") {
		if format = query.Get("format"); !slices.Contains(s.config.Feed.Formats(), format) {
			return answer{}, badQuery("format", "is "+strconv.Quote(format)+", which is none of "+strings.Join(s.config.Feed.Formats(), ", "))
		}
	}
	leave, err := s.feedTurns.enter(c.r.Context(), c.scope)
	if err != nil {
		return answer{}, err
	}
	page, err := s.config.Feed.Events(c.r.Context(), c.scope, q, format)
	leave()
	if err != nil {
		return answer{}, cursorProblem(err)
	}
	return s.pageAnswer(c, q, page), nil
}

// feedQuery reads the parameters of a feed.
func feedQuery(c call, known []string) (q FeedQuery, wait time.Duration, err error) {
	query := c.r.URL.Query()
	q = FeedQuery{Limit: defaultLimit, Descending: true}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		if !slices.Contains(known, name) {
			return q, 0, badQuery(name, "is not a parameter: there are "+strings.Join(known, ", "))
		}
		if len(values) > 1 && name != "type" {
			return q, 0, badQuery(name, "is given more than once")
		}
		value := values[0]
		switch name {
		case "after":
			err = q.after(value)
		case "before":
			q.From, err = feedPosition(name, value)
		case "limit":
			q.Limit, err = limitOf(value)
		case "missed":
			if q.Missed = value == "true"; !q.Missed && value != "false" {
				err = badQuery(name, "is neither true nor false")
			}
		case "resource":
			if value != "" {
				q.Resources = append(q.Resources, value)
			}
		case "resource_id":
			q.Instance = value
		case "type":
			for _, value := range values {
				if resource, all := strings.CutSuffix(value, ".*"); all {
					q.Resources = append(q.Resources, resource)
				} else if value != "*" {
					q.Types = append(q.Types, value)
				}
			}
		case "since":
			q.Since, err = feedTime(name, value)
		case "until":
			q.Until, err = feedTime(name, value)
		case "wait":
			if wait, err = time.ParseDuration(value); err != nil || wait < 0 || wait > maxWait {
				err = badQuery(name, `is not a duration from "0s" to "60s"`)
			}
		}
		if err != nil {
			return q, 0, err
		}
	}
	switch {
	case query.Get("resource") != "" && query.Has("type"):
		return q, 0, badQuery("resource", "does not go with type: type=contact.* is all events of a resource")
	case query.Has("after") && query.Has("before"):
		return q, 0, badQuery("before", "does not go with after: one goes back in time, the other on")
	case wait > 0 && q.Descending:
		return q, 0, badQuery("wait", `needs after: a position, "oldest" or "latest"`)
	}
	return q, wait, nil
}

// after lets a query go on from a position, in the order of the commits.
func (q *FeedQuery) after(value string) (err error) {
	q.Descending = false
	switch value {
	case "oldest":
		q.Oldest = true
	case "latest":
		q.Latest = true
	default:
		q.From, err = feedPosition("after", value)
	}
	return err
}

func feedPosition(name, value string) (cdc.Position, error) {
	p, err := cdc.ParsePosition(value)
	if err != nil {
		return p, badQuery(name, "is not a position, which has 40 hex digits")
	}
	return p, nil
}

func feedTime(name, value string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil {
		return t, badQuery(name, `is not a time such as "2026-11-22T04:54:02Z"`)
	}
	return t, nil
}

// feed answers with a page, at once or when there is something, or with a stream.
func (s *Server) feed(c call) (answer, error) {
	q, wait, err := feedQuery(c, feedParameters)
	if err != nil {
		return answer{}, err
	}
	sub, err := s.config.Repository.Get(c.r.Context(), c.scope, c.id)
	if err != nil {
		return answer{}, err
	}
	if c.r.Method == http.MethodGet && wantsStream(c.r) {
		return s.streamFeed(c, q, sub)
	}
	page, err := s.feedPage(c.r.Context(), c.scope, sub, q)
	if err == nil && wait > 0 && len(page.Elements) == 0 && feedEnd(sub) == "" {
		page, err = s.awaitFeed(c, q, page, sub, wait)
	}
	if err != nil {
		return answer{}, err
	}
	return s.pageAnswer(c, q, page), nil
}

// feedPage reads a page. Who asks for what is to come goes on from where the page ends.
func (s *Server) feedPage(ctx context.Context, scope subscriptions.Scope, sub *subscriptions.Subscription, q FeedQuery) (*FeedPage, error) {
	leave, err := s.feedTurns.enter(ctx, scope)
	if err != nil {
		return nil, err
	}
	defer leave()
	page, err := s.config.Feed.Page(ctx, sub, q)
	if err != nil {
		return nil, cursorProblem(err)
	}
	return page, nil
}

// TooMany is an error that says, with a 429, that the caller is to wait.
func TooMany(detail string, wait time.Duration) error { return refusal{tooManyOf(detail, wait)} }

// cursorProblem is a 410 for a cursor that is too old.
func cursorProblem(err error) error {
	gone, ok := err.(*CursorError)
	if !ok {
		return err
	}
	return refusal{problemAnswer(client.Problem{Type: "cursor-gone", Title: "Cursor gone", Status: http.StatusGone, Oldest: gone.Oldest.String(),
		Detail: "the cursor cannot be gone on from: " + gone.Reason + ". Read the rows again, and go on from oldest"})}
}

// onFrom is the query for what comes behind a page.
func (q FeedQuery) onFrom(p *FeedPage) FeedQuery {
	// From the oldest on there is no cursor that could be too old, until something was there.
	q.From, q.Latest, q.Oldest = p.Next, false, q.Oldest && p.Next.IsZero()
	return q
}

// awaitFeed waits until a page has something in it, as long as the caller wants to.
func (s *Server) awaitFeed(c call, q FeedQuery, page *FeedPage, sub *subscriptions.Subscription, wait time.Duration) (*FeedPage, error) {
	follower, err := s.config.Feed.Follow(c.scope, sub)
	if err != nil {
		return nil, err
	}
	defer follower.Close()
	over := time.NewTimer(wait)
	defer over.Stop()
	for last := false; ; {
		// Once more before waiting: what came between the page and the follower.
		q = q.onFrom(page)
		if page, err = s.feedPage(c.r.Context(), c.scope, sub, q); err != nil || last || len(page.Elements) > 0 {
			return page, err
		}
		news := follower.News()
		if page.More {
			news = there // what is selected may be far: whoever asks again goes on from where this ends
		}
		select {
		case <-news:
		case <-over.C:
			return page, nil
		case <-s.retired:
			last = true
		case <-c.r.Context().Done():
			return nil, c.r.Context().Err()
		}
		// It may be over meanwhile.
		if sub, err = s.config.Repository.Get(c.r.Context(), c.scope, c.id); err != nil {
			return nil, err
		}
		last = last || feedEnd(sub) != ""
	}
}

// feedEnd says why nothing comes to a feed any more; empty while it may.
func feedEnd(sub *subscriptions.Subscription) string {
	if sub.State == subscriptions.Disabled || sub.State == subscriptions.Expired {
		return "the subscription is " + string(sub.State)
	}
	return ""
}

// pageAnswer is a JSON array of the elements, as they are.
func (s *Server) pageAnswer(c call, q FeedQuery, page *FeedPage) answer {
	a := answer{status: http.StatusOK, body: elements(page)}
	a.header("Content-Type", "application/json")
	cursor := page.Next
	if q.Descending {
		// Whoever has read what there was goes on with what came since.
		cursor = page.Settled
	}
	a.header(cursorHeader, cursor.String())
	if q.Descending && !page.More {
		return a
	}
	if q.Descending && !page.LookedBack.IsZero() {
		a.header(lookedHeader, page.LookedBack.Format(time.RFC3339Nano))
	}
	next := c.r.URL.Query()
	next.Del("after")
	next.Del("before")
	if q.Descending {
		next.Set("before", page.Next.String())
	} else {
		next.Set("after", page.Next.String())
	}
	a.header("Link", "<"+(&url.URL{Path: c.r.URL.Path, RawQuery: next.Encode()}).String()+`>; rel="next"`)
	return a
}

func elements(page *FeedPage) []byte {
	body := []byte{'['}
	for i, e := range page.Elements {
		if i > 0 {
			body = append(body, ',', '\n')
		}
		body = append(body, e.Body...)
	}
	return append(body, ']', '\n')
}

// wantsStream says whether the caller asks for server-sent events.
func wantsStream(r *http.Request) bool {
	for _, header := range r.Header.Values("Accept") {
		for one := range strings.SplitSeq(header, ",") {
			if kind, _, _ := strings.Cut(one, ";"); strings.EqualFold(strings.TrimSpace(kind), streamType) {
				return true
			}
		}
	}
	return false
}

const (
	streamType = "text/event-stream"
	// streamPulse is how often a stream says that it lives, and looks whether it may go on; streamTimeout how long a caller may
	// take to read what is written, streamRetry how long it is to wait before it comes again.
	streamPulse   = 15 * time.Second
	streamTimeout = 30 * time.Second
	streamRetry   = 3 * time.Second
)

// streamFeed answers with server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html
func (s *Server) streamFeed(c call, q FeedQuery, sub *subscriptions.Subscription) (answer, error) {
	if last := c.r.Header.Get("Last-Event-ID"); last != "" {
		if err := q.after(last); err != nil {
			return answer{}, badQuery("Last-Event-ID", "is not a position, which has 40 hex digits")
		}
		q.Oldest, q.Latest = false, false
	} else if !c.r.URL.Query().Has("after") {
		if c.r.URL.Query().Has("before") {
			return answer{}, badQuery("before", "does not go with a stream, which goes on in time")
		}
		q.Descending, q.Latest = false, true
	}
	if why := feedEnd(sub); why != "" {
		return answer{}, Conflict(why + ": nothing comes to its feed, which can be read without a stream")
	}
	follower, err := s.config.Feed.Follow(c.scope, sub)
	if err != nil {
		return answer{}, err
	}
	page, err := s.feedPage(c.r.Context(), c.scope, sub, q)
	if err != nil {
		follower.Close()
		return answer{}, err
	}
	a := answer{status: http.StatusOK}
	a.header("Content-Type", streamType)
	a.header("X-Accel-Buffering", "no") // nginx would keep it until it has much
	a.stream = func(w http.ResponseWriter, r *http.Request) {
		defer follower.Close()
		x := &stream{server: s, call: c, w: w, control: http.NewResponseController(w), sub: sub, follower: follower}
		x.call.r = r
		x.run(q, page)
	}
	return a, nil
}

// stream is a feed on its way to a caller.
type stream struct {
	server   *Server
	call     call
	w        http.ResponseWriter
	control  *http.ResponseController
	sub      *subscriptions.Subscription
	follower Follower
	buffer   bytes.Buffer
}

// run writes what there is, and what comes, until the caller is gone or the stream over.
func (x *stream) run(q FeedQuery, page *FeedPage) {
	fmt.Fprintf(&x.buffer, "retry: %d\n\n", streamRetry.Milliseconds())
	pulse := time.NewTicker(x.server.pulse)
	defer pulse.Stop()
	for {
		for _, e := range page.Elements {
			x.event(e)
		}
		if len(page.Elements) == 0 {
			// The cursor moves though there is nothing to show.
			fmt.Fprintf(&x.buffer, "id: %s\n: as of now\n\n", page.Next)
		}
		if x.flush() != nil {
			return
		}
		q = q.onFrom(page)
		news := x.follower.News()
		if page.More {
			news = there
		}
		if why, over := x.wait(news, pulse.C); over {
			x.end(why)
			return
		}
		ctx, cancel := context.WithTimeout(x.call.r.Context(), maxWork)
		next, err := x.server.feedPage(ctx, x.call.scope, x.sub, q)
		cancel()
		if err != nil {
			x.end(reasonOf(err))
			return
		}
		page = next
	}
}

// there is news of what is there already: who goes on through much is asked on the way whether he may.
var there = func() <-chan struct{} {
	news := make(chan struct{})
	close(news)
	return news
}()

// wait returns when there may be something to show, or to say. Over says that there is nothing more, and why.
func (x *stream) wait(news <-chan struct{}, pulse <-chan time.Time) (why string, over bool) {
	select {
	case <-news:
		return x.still(false)
	case <-pulse:
		return x.still(true)
	case <-x.server.retired:
		return "rowhook stops, or its config has changed: come again", true
	case <-x.call.r.Context().Done():
		return "", true
	}
}

// still looks whether the subscription, and with whole the caller too, are as they were.
func (x *stream) still(whole bool) (why string, over bool) {
	ctx, cancel := context.WithTimeout(x.call.r.Context(), maxWork)
	defer cancel()
	if whole && x.call.again != nil {
		if refused, ok := x.call.again(x.call.r.WithContext(ctx)); !ok {
			return reasonOf(refusal{refused}), true
		}
	}
	sub, err := x.server.config.Repository.Get(ctx, x.call.scope, x.call.id)
	if err != nil {
		return reasonOf(err), true
	}
	x.sub = sub
	why = feedEnd(sub)
	return why, why != ""
}

// reasonOf is what the caller is told of an error.
func reasonOf(err error) string {
	a := failure(err)
	return strconv.Itoa(a.status) + " " + http.StatusText(a.status)
}

// event writes an element. Its body may have lines.
func (x *stream) event(e FeedElement) {
	fmt.Fprintf(&x.buffer, "id: %s\nevent: %s\n", e.Position, e.Type)
	x.data(e.Body)
}

func (x *stream) data(body []byte) {
	for line := range bytes.SplitSeq(bytes.ReplaceAll(body, []byte("\r"), []byte(" ")), []byte("\n")) {
		x.buffer.WriteString("data: ")
		x.buffer.Write(line)
		x.buffer.WriteByte('\n')
	}
	x.buffer.WriteByte('\n')
}

// end says why nothing more comes.
func (x *stream) end(why string) {
	if why == "" {
		return
	}
	x.buffer.WriteString("event: rowhook.end\n")
	x.data([]byte(`{"reason":` + strconv.Quote(why) + `}`))
	_ = x.flush()
}

func (x *stream) flush() error {
	_ = x.control.SetWriteDeadline(time.Now().Add(streamTimeout))
	if _, err := x.w.Write(x.buffer.Bytes()); err != nil {
		return err
	}
	x.buffer.Reset()
	return x.control.Flush()
}
