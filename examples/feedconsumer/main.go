// Command feedconsumer lives on the feed of a subscription alone: nothing has to reach it from outside. It prints each event, and
// keeps its cursor in a file. It uses the standard library alone.
//
//	ROWHOOK_TOKEN=… SUBSCRIPTION=sub_… go run ./examples/feedconsumer
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	c := &consumer{
		feed:   strings.TrimSuffix(cmp.Or(os.Getenv("ROWHOOK_URL"), "http://127.0.0.1:8477/api/v1"), "/") + "/subscription/" + url.PathEscape(os.Getenv("SUBSCRIPTION")) + "/event/",
		token:  os.Getenv("ROWHOOK_TOKEN"),
		file:   cmp.Or(os.Getenv("CURSOR_FILE"), "cursor.txt"),
		client: &http.Client{Timeout: 50 * time.Second},
	}
	if os.Getenv("SUBSCRIPTION") == "" || c.token == "" {
		log.Fatal("feedconsumer: set SUBSCRIPTION to the id of a subscription, and ROWHOOK_TOKEN to a token that may read it")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := c.run(ctx); err != nil && ctx.Err() == nil {
		log.Fatal("feedconsumer: ", err)
	}
}

type consumer struct {
	feed, token, file string
	client            *http.Client
}

// errGone says that events behind the cursor are not kept any more.
type errGone struct{ oldest string }

func (e errGone) Error() string {
	return "events behind the cursor are gone: read the rows again over the API, then write " + e.oldest + " into the cursor's file"
}

// errRefused is an answer that will not change by asking again.
type errRefused string

func (e errRefused) Error() string { return string(e) }

// run goes on from the stored cursor, until ctx is done or rowhook refuses.
func (c *consumer) run(ctx context.Context) error {
	cursor, err := os.ReadFile(c.file)
	if errors.Is(err, fs.ErrNotExist) {
		cursor, err = []byte("oldest"), nil
	}
	if err != nil {
		return err
	}
	at := strings.TrimSpace(string(cursor))
	for {
		began := time.Now()
		events, next, err := c.page(ctx, at)
		var gone errGone
		var refused errRefused
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &gone), errors.As(err, &refused):
			return err
		case err != nil:
			log.Printf("feedconsumer: %v: trying again", err)
		}
		for _, e := range events {
			if err := handle(e); err != nil {
				return err // the cursor stays before it: it comes again
			}
		}
		if err == nil && next != at {
			// Behind what was handled: who dies in between gets it once more.
			if err := store(c.file, next); err != nil {
				return err
			}
			at = next
		}
		if len(events) == 0 {
			// It waits for an answer: only a feed at which nothing comes any more, and errors, answer sooner.
			pause(ctx, time.Second-time.Since(began))
		}
	}
}

// page asks for what is behind the cursor, and waits for it.
func (c *consumer) page(ctx context.Context, cursor string) (events []json.RawMessage, next string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.feed+"?wait=30s&after="+url.QueryEscape(cursor), nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, "", err
	}
	switch {
	case resp.StatusCode == http.StatusGone:
		var problem struct {
			Oldest string `json:"oldest"`
		}
		if err := json.Unmarshal(body, &problem); err != nil {
			return nil, "", err
		}
		return nil, "", errGone{problem.Oldest}
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return nil, "", fmt.Errorf("rowhook answers %s", resp.Status)
	case resp.StatusCode != http.StatusOK:
		return nil, "", errRefused(fmt.Sprintf("rowhook answers %s: %s", resp.Status, body))
	}
	next = resp.Header.Get("Rowhook-Cursor")
	if next == "" {
		return nil, "", errRefused("the answer has no Rowhook-Cursor: is ROWHOOK_URL the API of a rowhook, with its base path?")
	}
	if err := json.Unmarshal(body, &events); err != nil {
		return nil, "", err
	}
	return events, next, nil
}

// handle is where a real consumer does its work. An event may come twice, with the same id.
func handle(event json.RawMessage) error {
	_, err := fmt.Println(string(event))
	return err
}

// store writes the cursor, whole or not at all. A real consumer stores it in its database, in the transaction of its work.
func store(file, cursor string) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".cursor-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(cursor + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
