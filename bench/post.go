//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// postOrders are those of the bare client.
type postOrders struct {
	Targets  []string // URLs
	Events   int      // each goes to every target
	InFlight int
}

// postRole is a bare net/http client: it POSTs bodies of the size that rowhook sends, and does nothing else.
func postRole(ctx context.Context, in *json.Decoder, out io.Writer) error {
	var o postOrders
	if err := in.Decode(&o); err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { <-untilEnd(in); cancel() }()
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: o.InFlight, MaxIdleConnsPerHost: o.InFlight, DisableCompression: true}}
	note := strings.Repeat("n", 200)
	var next atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, o.InFlight)
	for range o.InFlight {
		wg.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= o.Events*len(o.Targets) {
					return
				}
				body := fmt.Appendf(nil, `{"type":"item.create","timestamp":"%s","data":{"id":%d,"seq":0,"sent":0,"account_id":"1","name":"Ada Lovelace",`+
					`"email":"ada@example.com","city":"London","created_at":"2026-01-01T00:00:00Z","note":"%s"},"position":"%040x"}`,
					time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"), n/len(o.Targets), note, n)
				if err := post(ctx, client, o.Targets[n%len(o.Targets)], body, nil); err != nil {
					failed <- err
					cancel()
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	// It ends with the order to end, so that what it used can be read until then.
	if err := json.NewEncoder(out).Encode("done"); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
