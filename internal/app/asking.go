package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/application"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/mapping"
)

// asker gets the application's own answers that events wait for. It belongs to the source's goroutine, but for Waiting.
//
// An application that is away is waited for, as long as it takes: reading stops, and nothing is lost. An instance that it
// cannot answer for must not stop all others: it is given up when it has failed often enough while the application has
// answered for another one.
type asker struct {
	client func() *application.Client
	// visible waits until the transactions can be seen by others.
	visible func(ctx context.Context, txs ...*cdc.Tx) error
	log     *slog.Logger
	// observe is told of each answer: askedOK, askedMissing or askedFailed.
	observe func(result string)
	limits  askLimits

	// witnesses are paths that were answered last, by the client asked, the newest last: they tell whether the application is
	// there. Several, since one may be what fails now.
	witnesses []string
	asked     *application.Client
	// missing says when it was last told of a resource that the application does not know an instance.
	missing map[string]time.Time
	waiting atomic.Pointer[string]
}

// askLimits say how long the application is waited for.
type askLimits struct {
	// An instance is given up after so many tries within so long, in each of which the application was there.
	tries  int
	within time.Duration
	// unproven is the same where the application has failed by itself (500), and has answered for no other instance: nobody
	// can tell whether it ever will.
	unproven time.Duration
	// pauses between two rounds grow from the one to the other.
	pauseMin, pauseMax time.Duration
	// told is when a wait is told.
	told time.Duration
	// bytes bounds the answers that are held at once.
	bytes int
}

var defaultAskLimits = askLimits{
	tries: 5, within: 30 * time.Second, unproven: time.Hour, pauseMin: 250 * time.Millisecond, pauseMax: 2 * time.Second,
	told: 3 * time.Second, bytes: relatedBytes,
}

// The results of asking.
const (
	askedOK      = "ok"
	askedMissing = "missing"
	askedFailed  = "failed"
)

// calmer is by how much pauses grow further where only some instances fail.
const calmer = 4

// witnessesMax is how many paths that were answered are known.
const witnessesMax = 8

// maxRetryAfter is how long the application can ask to be left alone.
const maxRetryAfter = time.Minute

// missingEvery is how often it is told of a resource that the application does not know an instance.
const missingEvery = time.Minute

func newApplication(cfg *config.Config, version string) *application.Client {
	return application.New(application.Config{
		URL: cfg.App.URL, Headers: cfg.App.Headers, MaxBytes: cfg.Limits.MaxRow, UserAgent: "rowhook/" + version,
	})
}

// Waiting says what is waited for, for longer than a few seconds; else it is empty.
func (a *asker) Waiting() string {
	if w := a.waiting.Load(); w != nil {
		return *w
	}
	return ""
}

// wanting are events that want answers: a *mapping.Completion.
type wanting interface {
	Documents() []mapping.Document
	Answer(path string, answer []byte)
	Missing(path string)
	FailDocument(path, reason string)
}

// question is a document that is asked for.
type question struct {
	mapping.Document
	// first is when it failed first, proven how often it has while the application was there.
	first  time.Time
	proven int
	// answer and err are of the last try.
	answer []byte
	err    error
}

// ask gets what the events want: all of it, or, where the answers are large, that of the first events, one at least. The
// error is the context's.
func (a *asker) ask(ctx context.Context, events wanting, txs []*cdc.Tx) error {
	documents := events.Documents()
	if len(documents) == 0 {
		return nil
	}
	// What the application answers has to be of after the commit.
	if err := a.visible(ctx, txs...); err != nil {
		return err
	}
	defer a.waiting.Store(nil)
	unanswered := make([]*question, len(documents))
	for i, d := range documents {
		unanswered[i] = &question{Document: d}
	}
	size, told, began, pause, there := 0, "", time.Now(), a.limits.pauseMin, false
	for {
		client := a.client()
		if client != a.asked {
			a.asked, a.witnesses = client, nil
		}
		tried := a.round(ctx, client, unanswered, a.limits.bytes-size, there)
		cut := len(tried) < len(unanswered)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var failed []*question
		there = false
		for _, q := range tried {
			if q.err == nil {
				size += len(q.answer)
				there = true
				a.note(q.Path)
				events.Answer(q.Path, q.answer)
				a.observe(askedOK)
				continue
			}
			if refused := refusal(q.err); refused.Missing() {
				events.Missing(q.Path)
				a.observe(askedMissing)
				a.tellMissing(client, &q.Document)
				continue
			}
			a.observe(askedFailed)
			failed = append(failed, q)
		}
		var wait time.Duration
		failed, there, wait = a.judge(ctx, client, events, failed, there)
		// Those that were not tried come first: the others may never be answered.
		unanswered = append(slices.Clone(unanswered[len(tried):]), failed...)
		if size >= a.limits.bytes {
			unanswered = failed
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case len(unanswered) == 0:
			return nil
		case len(failed) == 0:
			continue
		}
		if reason := a.reason(client, failed[0]); time.Since(began) >= a.limits.told {
			a.waiting.Store(&reason)
			if reason != told {
				a.log.Warn("reading waits", "reason", reason)
				told = reason
			}
		}
		if err := sleep(ctx, max(pause, wait)); err != nil {
			return err
		}
		switch {
		case !there:
			pause = min(2*pause, a.limits.pauseMax)
		case !cut: // nobody waits for it to come back
			pause = min(2*pause, calmer*a.limits.pauseMax)
		}
	}
}

// round asks, in order, until all were asked, the answers are too many bytes, or it seems that nobody is there, unless it is
// known that somebody is. It returns those that were tried, which are the first.
func (a *asker) round(ctx context.Context, client *application.Client, unanswered []*question, bytes int, answered bool) []*question {
	var mu sync.Mutex
	next, got, away := 0, 0, 0
	take := func() *question {
		mu.Lock()
		defer mu.Unlock()
		if next == len(unanswered) || ctx.Err() != nil || next > 0 && got >= bytes || away >= application.AtOnce && !answered {
			return nil
		}
		next++
		return unanswered[next-1]
	}
	work := func() {
		for q := take(); q != nil; q = take() {
			q.answer, q.err = client.Get(ctx, q.Path)
			mu.Lock()
			switch {
			case q.err == nil:
				got, answered = got+len(q.answer), true
			case refusal(q.err).Missing():
				answered = true
			default:
				away++
			}
			mu.Unlock()
		}
	}
	var wg sync.WaitGroup
	for range min(application.AtOnce, len(unanswered)) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	return unanswered[:next]
}

// judge gives up what has failed for too long, and returns the rest, whether the application is there, and for how long it
// wants to be left alone.
func (a *asker) judge(ctx context.Context, client *application.Client, events wanting, failed []*question, answered bool) (rest []*question, there bool, wait time.Duration) {
	there = answered
	if len(failed) == 0 {
		return nil, there, 0
	}
	witness := a.witnessOf(failed)
	if !there && witness != "" {
		_, err := client.Get(ctx, witness)
		if there = err == nil || refusal(err).Missing(); !there && ctx.Err() == nil && len(a.witnesses) > 1 {
			// It may be what fails: the next time another one is asked.
			a.witnesses = append([]string{witness}, slices.DeleteFunc(a.witnesses, func(p string) bool { return p == witness })...)
		}
	}
	now := time.Now()
	for _, q := range failed {
		refused := refusal(q.err)
		if q.first.IsZero() {
			q.first = now
		}
		if there {
			q.proven++
		}
		switch waited := now.Sub(q.first); {
		case q.proven >= a.limits.tries && waited >= a.limits.within:
			events.FailDocument(q.Path, a.reason(client, q)+"; it answers for others")
		case witness == "" && refused.Own() && waited >= a.limits.unproven:
			events.FailDocument(q.Path, a.reason(client, q))
		default:
			rest, wait = append(rest, q), max(wait, min(refused.RetryAfter, maxRetryAfter))
		}
	}
	return rest, there, wait
}

// note takes a path that was answered.
func (a *asker) note(path string) {
	a.witnesses = append(slices.DeleteFunc(a.witnesses, func(p string) bool { return p == path }), path)
	if over := len(a.witnesses) - witnessesMax; over > 0 {
		a.witnesses = slices.Delete(a.witnesses, 0, over)
	}
}

// witnessOf is the newest path that was answered and is not among those that have failed; empty where there is none.
func (a *asker) witnessOf(failed []*question) string {
	for i := len(a.witnesses) - 1; i >= 0; i-- {
		if !slices.ContainsFunc(failed, func(q *question) bool { return q.Path == a.witnesses[i] }) {
			return a.witnesses[i]
		}
	}
	return ""
}

// refusal is what the application's client says; a context that ended says nothing.
func refusal(err error) *application.Error {
	var refused *application.Error
	if errors.As(err, &refused) {
		return refused
	}
	return &application.Error{}
}

// reason says what is wrong, in a line, without the instance's key.
func (a *asker) reason(client *application.Client, q *question) string {
	refused := refusal(q.err)
	reason := fmt.Sprintf("${api.…} of %s: GET %s: %s", q.Resource, client.URL(q.Template), refused.Reason)
	if refused.Hint != "" {
		reason += "; " + refused.Hint
	}
	return strings.ReplaceAll(reason, "\n", " ")
}

// tellMissing tells now and then that the application does not know what is in the database: often the login is wrong.
func (a *asker) tellMissing(client *application.Client, d *mapping.Document) {
	if time.Since(a.missing[d.Resource]) < missingEvery {
		return
	}
	if a.missing == nil {
		a.missing = map[string]time.Time{}
	}
	a.missing[d.Resource] = time.Now()
	a.log.Warn("the application does not know an instance: what is taken from its answer is left out and named in partial",
		"resource", d.Resource, "address", client.URL(d.Template), "hint", "it may be deleted by now, or not visible to the login of app.headers")
}
