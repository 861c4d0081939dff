//go:build unix

package main

import (
	"context"
	"fmt"

	"github.com/rowhook/rowhook/client"
)

const (
	// batchMax is the most events of a request, batchWait how long one may wait for others.
	batchMax  = 100
	batchWait = "10ms"
)

func batchScenario(s sizes) scenario {
	single := backlog{events: s.batch, perInstance: 4}
	batched := single
	batched.gathered = true
	batched.subscribe = func(ctx context.Context, b *bench, r *rowhook) error {
		return r.create(ctx, &client.Subscription{Events: itemEvents, TargetURL: b.url(hooks),
			Delivery: client.Delivery{Batch: &client.Batch{Max: batchMax, Wait: batchWait}}})
	}
	const nameSingle, nameBatch = "one event in a request", "batches"
	return scenario{
		Name: "batch",
		What: fmt.Sprintf("%d single-row transactions wait, four of each instance; one subscription, with an event in each request and with up to %d, which wait for %s",
			s.batch, batchMax, batchWait),
		variants: []variant{{nameSingle, single.run}, {nameBatch, batched.run}},
		ratios: []ratio{{metric: rate, of: nameBatch, to: nameSingle}, {metric: cpuPerEvent, of: nameBatch, to: nameSingle},
			{metric: receiverCPU, of: nameBatch, to: nameSingle}},
	}
}
