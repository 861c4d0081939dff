package listen

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// Options say what is followed, and what becomes of it.
type Options struct {
	Output
	Client *client.Client
	// Subscription is the id of one whose feed is followed, read-only. Where it is empty one is made for as long as it takes, by
	// the Events, the Filter, the ResourceID and the Account of Wish.
	Subscription string
	Wish         client.Subscription
	// Request says how requests are made, Secret signs them; empty is a new one. Of a Subscription it is its own request that counts.
	Request client.Request
	Secret  string
	// ForwardTo gets the requests; empty is nobody. Timeout bounds each of them, Retries is how often one is made again.
	ForwardTo string
	Timeout   time.Duration
	Retries   int
	// Last is how many of the newest stored events are shown first.
	Last int
	// Lease is how long the subscription that is made outlives a listener that was killed.
	Lease time.Duration
	// Again sends the last event again, each time that something is received.
	Again <-chan struct{}
}

const (
	// followAgain is how long it takes until a rowhook that does not answer is asked again.
	followAgain = time.Second
	// deleteWithin bounds how long the end of a listener takes.
	deleteWithin = 10 * time.Second
	// nowhere is what requests are made for that nobody gets.
	nowhere = "http://localhost/hooks"
)

// listener follows a feed.
type listener struct {
	Options
	print printer
	*memory
	// local is whom requests are made for: a subscription as it would be with a target here. format is that of the feed.
	local     *subscriptions.Subscription
	format    string
	userAgent string
	forward   *forwarder
	last      *event

	mu sync.Mutex
	id string
	// until is when the lease ends.
	until time.Time
}

// event is one that was read.
type event struct {
	*mapping.Event
	around sender.Envelope
}

// Run follows until ctx is done, or there is an error that asking again does not mend: that may be a *client.Error.
func Run(ctx context.Context, o Options) (Summary, error) {
	l := &listener{Options: o, print: printer{Output: o.Output}, memory: newMemory(), forward: newForwarder(o.Timeout), userAgent: "rowhook/unknown"}
	defer l.forward.close()
	stored, cursor, err := l.open(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return l.Summary, nil
		}
		return l.Summary, err
	}
	ctx, cancel := context.WithCancel(ctx)
	pages := make(chan []json.RawMessage)
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		failed = l.follow(ctx, cursor, pages)
	})
	if l.Subscription == "" {
		wg.Go(func() { l.renew(ctx) })
	}
	for _, element := range slices.Backward(stored) {
		l.take(ctx, element, true)
	}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case page := <-pages:
			for _, element := range page {
				l.take(ctx, element, false)
			}
		case _, ok := <-l.Again:
			if !ok {
				l.Again = nil
			} else if l.last == nil {
				l.print.note("there is nothing to send again yet")
			} else {
				l.show(ctx, l.last, true, true)
			}
		}
	}
	cancel()
	wg.Wait()
	l.close()
	l.print.sum(l.Summary)
	return l.Summary, failed
}

// open finds where to begin, and begins to match. It returns the newest events that are stored, newest first.
func (l *listener) open(ctx context.Context) (stored []json.RawMessage, cursor string, err error) {
	if version, err := l.Client.Alive(ctx); err == nil {
		l.userAgent = "rowhook/" + version
	}
	var page *client.EventPage
	if l.Subscription != "" {
		page, err = l.openOther(ctx)
	} else {
		page, err = l.openOwn(ctx)
	}
	if err != nil {
		return nil, "", err
	}
	target := "nowhere: --forward-to URL sends it on"
	if l.ForwardTo != "" {
		target = shownURL(l.ForwardTo)
	}
	l.print.note("following %s, sending it on to %s", l.id, target)
	if l.Secret == "" && l.local.RequestSignature() != subscriptions.SignatureNone {
		l.print.note("secret: %s", l.secret())
	}
	if l.Last > 0 {
		stored = page.Events
	}
	return stored, page.Cursor, nil
}

func (l *listener) secret() string { return l.local.Secrets[0].Secret.Reveal() }

// openOwn makes a subscription.
func (l *listener) openOwn(ctx context.Context) (*client.EventPage, error) {
	if err := l.localize(l.Request); err != nil {
		return nil, err
	}
	l.format = sender.ReadableFormat(l.local.RequestFormat())
	q := client.EventQuery{Limit: max(l.Last, 1), Format: l.format}
	if !slices.Contains(l.Wish.Events, "*") {
		q.Types = l.Wish.Events
	}
	if l.Wish.ResourceID != nil {
		q.ResourceID = *l.Wish.ResourceID
	}
	page, err := l.Client.Events(ctx, q)
	if err != nil {
		return nil, l.older(ctx, err)
	}
	return page, l.subscribe(ctx)
}

// openOther reads the subscription that is followed.
func (l *listener) openOther(ctx context.Context) (*client.EventPage, error) {
	s, err := l.Client.Get(ctx, l.Subscription)
	if err != nil {
		return nil, err
	}
	if quiet := s.State != "active" && s.State != "shadow"; quiet && (s.DisabledReason == nil || s.DisabledReason.By != subscriptions.ByRowhook) {
		l.print.note("%s is %s: nothing new comes to it", s.ID, s.State)
	}
	r := s.Request
	if r.Auth != nil || len(r.Headers) > 0 {
		l.print.note("headers and auth of its request are not shown by rowhook: they are left out")
		r.Auth, r.Headers = nil, nil
	}
	if err := l.localize(r); err != nil {
		return nil, err
	}
	l.id, l.local.ID = s.ID, s.ID
	if l.format = l.local.RequestFormat(); l.format == subscriptions.FormatRepresentation {
		return nil, fmt.Errorf("the feed of %s is in the format representation, which does not tell which events they are\n  hint: leave --subscription out, and give --events and --format representation", s.ID)
	}
	page, err := l.Client.Feed(ctx, s.ID, client.FeedQuery{Limit: max(l.Last, 1)})
	if err != nil {
		return nil, l.older(ctx, err)
	}
	return page, nil
}

// older tells that rowhook knows no feeds.
func (l *listener) older(ctx context.Context, err error) error {
	var told *client.Error
	if !errors.As(err, &told) || told.Status != http.StatusNotFound {
		return err
	}
	if _, other := l.Client.EventTypes(ctx); other != nil {
		return err // it is no rowhook's API
	}
	return fmt.Errorf("%w\n  hint: that rowhook is too old to be listened to: it has no feeds", err)
}

// localize makes the subscription that requests are made for, and says what is wrong with it.
func (l *listener) localize(r client.Request) error {
	target := l.ForwardTo
	if target == "" {
		target = nowhere
	}
	body := map[string]any{"events": []string{"*"}, "target_url": target, "request": r}
	if l.Secret != "" {
		body["secret"] = l.Secret
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	anywhere := subscriptions.Policy{AllowHTTP: true, CheckAddress: func(netip.Addr) error { return nil }}
	l.local, err = subscriptions.Rules{Scope: subscriptions.Scope{Admin: true}, Admin: anywhere, Accounts: anywhere}.New(text)
	return err
}

// subscribe makes the subscription.
func (l *listener) subscribe(ctx context.Context) error {
	end := l.leaseEnd()
	host, _ := os.Hostname()
	s := l.Wish
	s.FeedOnly, s.ExpiresAt, s.Name, s.Description = true, &end, "rowhook listen", host
	// Else it would be taken for the renewal of another listener's.
	s.IgnoreSources = append(slices.Clone(s.IgnoreSources), "rowhook-listen-"+strings.ToLower(rand.Text()))
	if l.format != subscriptions.FormatStandard {
		s.Request.Format = l.format
	}
	made, err := l.Client.Create(ctx, &s)
	var told *client.Error
	if errors.As(err, &told) && told.Status == http.StatusForbidden {
		return fmt.Errorf("%w\n  hint: give --subscription ID to follow one that is there", err)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id, l.until = made.ID, end
	return nil
}

// leaseEnd is by the wall clock: a machine that sleeps does not stop it.
func (l *listener) leaseEnd() time.Time {
	return time.Now().Add(l.Lease).UTC().Round(0).Truncate(time.Second)
}

func (l *listener) current() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id
}

// renew moves the end of the lease on.
func (l *listener) renew(ctx context.Context) {
	tick := time.NewTicker(l.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		end := l.leaseEnd()
		if _, err := l.Client.Update(ctx, l.current(), client.Patch{"expires_at": end.Format(time.RFC3339)}); err != nil {
			continue // whoever follows the feed tells of it
		}
		l.mu.Lock()
		over := l.until
		l.until = end
		l.mu.Unlock()
		if now := time.Now().Round(0); now.After(over) {
			l.print.note("the lease was over at %s: what was committed since then is missing", over.Format(time.RFC3339))
		}
	}
}

// follow reads the feed, from the cursor on, and begins again where it was when rowhook is away meanwhile.
func (l *listener) follow(ctx context.Context, cursor string, pages chan<- []json.RawMessage) error {
	away := false
	for ctx.Err() == nil {
		id := l.current()
		for page, err := range l.Client.FollowFeed(ctx, id, client.FeedQuery{After: cursor}) {
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				var told *client.Error
				if errors.As(err, &told) && told.Status == http.StatusNotFound && l.Subscription == "" {
					if err = l.subscribe(ctx); err == nil {
						l.print.note("%s is gone, and another one was made: what was committed meanwhile is missing", id)
					}
				}
				if cursor, away, err = l.missed(cursor, away, err); err != nil {
					return err
				}
				break
			}
			if away {
				l.print.note("rowhook answers again")
				away = false
			}
			if len(page.Events) > 0 {
				select {
				case pages <- page.Events:
				case <-ctx.Done():
					return nil
				}
			}
			cursor = page.Cursor
		}
		select {
		case <-ctx.Done():
		case <-time.After(followAgain):
		}
	}
	return nil
}

// missed tells of an error, and where to go on. It returns those that asking again does not mend.
func (l *listener) missed(cursor string, away bool, err error) (string, bool, error) {
	var told *client.Error
	switch {
	case err == nil:
		return cursor, away, nil
	case errors.As(err, &told) && told.Status == http.StatusGone && told.Oldest != "":
		l.print.note("events are missing: those behind %s are not kept any more. Going on with the oldest that is there", cursor)
		return told.Oldest, away, nil
	case told != nil && told.Status != http.StatusTooManyRequests && told.Status < http.StatusInternalServerError:
		return cursor, away, err
	}
	if !away {
		l.print.note("rowhook is away, and asked again: %v", sender.WithoutURL(err))
	}
	return cursor, true, nil
}

// close deletes the subscription that was made.
func (l *listener) close() {
	if l.Subscription != "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), deleteWithin)
	defer cancel()
	id := l.current()
	var told *client.Error
	if err := l.Client.Delete(ctx, id); err != nil && (!errors.As(err, &told) || told.Status != http.StatusNotFound) {
		l.print.note("%s could not be deleted: it expires by itself at %s", id, l.until.Format(time.RFC3339))
	}
}

// take shows an element of the feed, and sends it on.
func (l *listener) take(ctx context.Context, element json.RawMessage, replay bool) {
	if ctx.Err() != nil {
		return
	}
	ev, around, err := sender.ReadElement(l.format, element)
	if err != nil {
		l.Seen++
		l.Failed++
		l.print.note("%v", err)
		return
	}
	l.last = &event{ev, around}
	l.show(ctx, l.last, replay, false)
}

// show shows an event and sends it on. Again is one that was here before.
func (l *listener) show(ctx context.Context, ev *event, replay, again bool) {
	h := &hook{ID: ev.ID, Type: ev.Type, Instance: instanceOf(ev.Type, ev.Instance), Position: ev.Position.String(), Attempt: 1, Replay: replay,
		Data: ev.Data, arrived: time.Now(), previous: ev.Previous}
	h.committed(ev.Time)
	if !again {
		l.memory.take(h)
	}
	how := sender.Composing{Around: ev.around, UserAgent: l.userAgent, Number: 1, Replay: replay, At: h.arrived}
	l.local.ID = l.current()
	q, err := sender.Compose(l.local, ev.Event, how)
	if err != nil {
		l.Failed++
		h.Problem = err.Error()
		l.print.begin(h)
		l.print.end(h)
		return
	}
	l.describe(h, q)
	l.print.begin(h)
	taken := h.Signature != signatureBad
	if l.ForwardTo != "" {
		taken = l.send(ctx, h, ev, q, how) && taken
	}
	if !taken {
		l.Failed++
	}
	l.print.end(h)
}

// describe notes the request, without what is the user's own, and checks it.
func (l *listener) describe(h *hook, q *sender.Composed) {
	own := map[string]bool{"Authorization": true}
	if r := l.local.Request; r != nil {
		for _, header := range r.Headers {
			own[http.CanonicalHeaderKey(header.Name)] = true
		}
		if r.Auth != nil {
			own[http.CanonicalHeaderKey(r.Auth.Name)] = true
		}
	}
	header := http.Header{}
	h.Request = &request{Method: q.Method, URL: shownURL(q.URL), Headers: map[string]string{}}
	for _, f := range q.Headers {
		header.Set(f.Name, f.Value)
		if !own[http.CanonicalHeaderKey(f.Name)] {
			h.Request.Headers[strings.ToLower(f.Name)] = f.Value
		}
	}
	_, query, _ := strings.Cut(q.URL, "?")
	content, err := signedContent(q.Method, query, header, q.Body)
	switch {
	case err != nil:
		h.Signature, h.Problem = signatureBad, err.Error()
	case l.local.RequestSignature() == subscriptions.SignatureNone:
		h.Signature = signatureNone
	default:
		h.check(header, content, l.secret())
	}
	if q.Method != http.MethodGet {
		h.Request.Body = string(content)
	}
}

// send sends an event on, as often as it takes and may be. It is false where it was not taken; what is cut short is not counted.
func (l *listener) send(ctx context.Context, h *hook, ev *event, q *sender.Composed, how sender.Composing) bool {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		a, reason := l.forward.send(ctx, q)
		if ctx.Err() != nil {
			a.Error = "cut short by the end"
		}
		a.Attempt = how.Number
		h.Answers = append(h.Answers, a)
		l.print.answered(shownURL(l.ForwardTo), a)
		if a.delivered() || how.Number > l.Retries || ctx.Err() != nil {
			return a.delivered() || ctx.Err() != nil
		}
		select {
		case <-ctx.Done():
			return true
		case <-time.After(wait):
		}
		how.Number, how.RetryReason, how.At = how.Number+1, reason, time.Now()
		next, err := sender.Compose(l.local, ev.Event, how)
		if err != nil {
			return false
		}
		q = next
	}
}
