// Package watch receives hooks on loopback, checks their signatures and prints a line for each. It is what `rowhook demo`
// and `rowhook dev` show.
//
// It is a subscriber like any other: it knows no more than what arrives, and the signature is checked by the library of
// Standard Webhooks. Lines come in the order of arrival; latencies are by the clock of this machine, and so true only
// where the database is on it.
package watch

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// Options say what a Watcher shows.
type Options struct {
	// Out gets the lines; nil prints nothing.
	Out io.Writer
	// Color dims and colours them.
	Color bool
	// Keys names the members of data that make the instance's key, by resource. Defaults to id.
	Keys map[string][]string
	// OnHook, when set, is called with each hook, after it was printed, one at a time.
	OnHook func(Hook)
}

// Hook is one that arrived.
type Hook struct {
	Request hooktest.Request
	Message hooktest.Message
	// Instance is contact/42, or empty where it cannot be told.
	Instance string
	// Latency is the time from the commit to the arrival.
	Latency time.Duration
	// Err is why the signature is not good; nil when it is.
	Err error
}

// Watcher is a receiver that is open. Use Start, Run, Close.
type Watcher struct {
	opts     Options
	receiver *hooktest.Receiver
	arrived  chan hooktest.Request
	closed   chan struct{}
	close    sync.Once

	mu      sync.Mutex // guards what follows, and the lines
	secrets map[string]string
	widths  [2]int
	last    map[string][]member
}

// queue is how many hooks may wait to be printed before senders have to wait.
const queue = 4096

// Start opens the receiver on a free port of loopback.
func Start(opts Options) (*Watcher, error) {
	if opts.Out == nil {
		opts.Out = io.Discard
	}
	w := &Watcher{opts: opts, arrived: make(chan hooktest.Request, queue), closed: make(chan struct{}), secrets: map[string]string{}, last: map[string][]member{},
		widths: [2]int{len("contact.create"), len("contact/42")}}
	for resource := range opts.Keys {
		w.widths[0] = min(max(w.widths[0], len(resource)+len(".truncate")), widest)
		w.widths[1] = min(max(w.widths[1], len(resource)+len("/42")), widest)
	}
	var err error
	w.receiver, err = hooktest.Start(hooktest.Options{Keep: 1, OnRequest: func(r hooktest.Request) {
		select {
		case w.arrived <- r:
		case <-w.closed:
		}
	}})
	if err != nil {
		return nil, fmt.Errorf("open a receiver: %w", err)
	}
	return w, nil
}

// URL is the address of a path, such as /hooks.
func (w *Watcher) URL(path string) string { return w.receiver.URL(path) }

// Trust gives the secret that the hooks on a path are signed with.
func (w *Watcher) Trust(path, secret string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets[path] = secret
}

// Run prints what arrives until ctx is done. Call it when the secrets are known. What has arrived by then is printed
// still.
func (w *Watcher) Run(ctx context.Context) {
	for {
		select {
		case r := <-w.arrived:
			w.handle(r)
			continue
		case <-ctx.Done():
		}
		for {
			select {
			case r := <-w.arrived:
				w.handle(r)
			default:
				return
			}
		}
	}
}

// Close ends the receiver. It may be called more than once.
func (w *Watcher) Close() {
	w.close.Do(func() { close(w.closed) })
	w.receiver.Close()
}

func (w *Watcher) handle(r hooktest.Request) {
	h := Hook{Request: r, Message: r.Message()}
	h.Instance = w.instance(h.Message)
	if commit, err := time.Parse(time.RFC3339Nano, h.Message.Timestamp); err == nil {
		h.Latency = r.At.Sub(commit)
	}
	w.mu.Lock()
	secret := w.secrets[r.Path]
	if secret == "" {
		h.Err = errNoSecret
	} else {
		h.Err = r.Verify(secret)
	}
	w.print(h)
	w.mu.Unlock()
	if w.opts.OnHook != nil {
		w.opts.OnHook(h)
	}
}
