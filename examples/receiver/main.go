// Command receiver is the other end of a webhook: it checks the signature as Standard Webhooks says, leaves out what it
// has seen before and what is older than what it knows, and prints the rest, of batches too. It uses the standard library alone.
//
//	WEBHOOK_SECRET=whsec_… PORT=8080 go run ./examples/receiver
package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("WEBHOOK_SECRET"), "whsec_"))
	if err != nil || len(key) == 0 {
		log.Fatal("receiver: set WEBHOOK_SECRET to the whsec_… secret of the subscription")
	}
	address := cmp.Or(os.Getenv("HOST"), "127.0.0.1") + ":" + cmp.Or(os.Getenv("PORT"), "8080")
	r := &receiver{key: key, seen: map[string]bool{}, newest: map[string]string{}}
	srv := &http.Server{Addr: address, Handler: r, ReadTimeout: 10 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		_ = srv.Shutdown(context.Background())
	}()
	fmt.Println("receiver: waiting for hooks at http://" + address)
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal("receiver: ", err)
	}
}

type receiver struct {
	key []byte

	mu sync.Mutex
	// seen holds the ids of what was handled, newest the position of the last event of each instance. A real receiver
	// keeps both in its database, in the transaction that handles the event.
	seen   map[string]bool
	newest map[string]string
}

// ServeHTTP answers 204 when the hook is handled, and what it should not be sent again.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 64<<20))
	if err != nil {
		http.Error(w, "the body did not arrive", http.StatusBadRequest)
		return
	}
	if err := verify(r.key, req.Header, body, time.Now()); err != nil {
		log.Printf("receiver: refused: %v", err)
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if answerNotice(w, req) {
		return
	}
	if err := r.handle(req.Header.Get("webhook-id"), body); err != nil {
		log.Printf("receiver: %v", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// answerNotice answers what is about the subscription itself: the questions whether we want it, and the news that it is over.
// Whoever signs with our secret was subscribed by somebody who has it.
func answerNotice(w http.ResponseWriter, req *http.Request) bool {
	switch req.Header.Get("webhook-type") {
	case "rowhook.verification":
		if req.Method == http.MethodGet {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			fmt.Fprint(w, req.URL.Query().Get("challenge"))
		} else {
			w.Header().Set("X-Hook-Secret", req.Header.Get("X-Hook-Secret"))
		}
		fmt.Println("rowhook.verification  we agree")
	case "rowhook.unsubscribed":
		fmt.Println("rowhook.unsubscribed  the subscription is over")
	default:
		return false
	}
	return true
}

// verify checks the signature over the bytes as they came, and that they were signed a short while ago.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func verify(key []byte, h http.Header, body []byte, now time.Time) error {
	id, timestamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil {
		return errors.New("webhook-id or webhook-timestamp is missing")
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return errors.New("webhook-timestamp is more than five minutes off")
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	want := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	// There are several signatures while a secret is being replaced.
	for _, given := range strings.Fields(h.Get("webhook-signature")) {
		if hmac.Equal([]byte(given), want) {
			return nil
		}
	}
	return errors.New("webhook-signature does not fit")
}

// message is an event. ID is there in a batch only: of an event that came alone it is the webhook-id.
type message struct {
	ID       string
	Type     string
	Position string
	Data     struct{ ID json.Number }
}

// handle handles a request: one message, or a batch of them. The answer is for all, so what was handled before an error is
// remembered, and left out when it comes again.
func (r *receiver) handle(id string, body []byte) error {
	var bodies []json.RawMessage
	batch := bytes.HasPrefix(body, []byte("["))
	if !batch {
		bodies = []json.RawMessage{body}
	} else if err := json.Unmarshal(body, &bodies); err != nil {
		return fmt.Errorf("the body is not a JSON array of events: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range bodies {
		var m message
		if err := json.Unmarshal(one, &m); err != nil {
			return fmt.Errorf("the body is not the JSON of an event: %w", err)
		}
		if !batch {
			m.ID = id
		}
		r.take(m, one)
	}
	return nil
}

// take prints an event, once.
func (r *receiver) take(m message, body []byte) {
	resource, _, _ := strings.Cut(m.Type, ".")
	instance := resource + "/" + m.Data.ID.String()
	switch {
	case r.seen[m.ID]:
		fmt.Printf("%s  %s  came again: left out\n", m.Type, m.ID)
		return
	case m.Position < r.newest[instance]:
		fmt.Printf("%s  %s  is older than what is known of %s: left out\n", m.Type, m.ID, instance)
		return
	}
	r.seen[m.ID], r.newest[instance] = true, m.Position
	fmt.Printf("%s  %s  signature ok\n%s\n", m.Type, m.ID, body)
}
