package app

import (
	"context"
	"encoding/json"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

const (
	// noticeEvery is how often it is looked for what is to be told of subscriptions; noticeAgain is how long is waited for what was
	// asked for, before it is asked for again: the log may be read late, or by another process.
	noticeEvery = time.Second
	noticeAgain = time.Minute
)

// noticeOffers are the events that tell of subscriptions. They are for the admin's subscriptions that name them.
func noticeOffers() subscriptions.Catalogue {
	var offers subscriptions.Catalogue
	for _, kind := range []string{store.NoticeDisabled, store.NoticeFailing, store.NoticeRecovered} {
		offers = append(offers, subscriptions.Offer{Name: mapping.SubscriptionResource + "." + kind, Resource: mapping.SubscriptionResource,
			AccountReason: "it tells of the subscriptions of all accounts"})
	}
	return offers
}

// noticeLoop asks for what is to be told of subscriptions to be told. What there is, is in the store before it is asked for, and is
// told at the place of the question in the log: so it comes again after a crash, as all that is in the log.
func (a *App) noticeLoop(ctx context.Context, st *store.Store) {
	tick := time.NewTicker(noticeEvery)
	defer tick.Stop()
	var asked time.Time
	waiting := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if src := a.source.Load(); src == nil || !src.Attended() {
			continue // it is another process' to ask
		}
		ready, err := st.PrepareNotices(ctx)
		if err == nil && ready > 0 && (ready != waiting || time.Since(asked) > noticeAgain) {
			asked, err = time.Now(), st.AskNotices(ctx)
		}
		if waiting = ready; err != nil {
			waiting = 0
			if ctx.Err() == nil {
				a.log.Warn("what is to be told of subscriptions cannot be told yet", "error", err)
			}
		}
	}
}

// tellNotices says whether a message asks for what is to be told of subscriptions, and makes the events of it, at its place. What
// they say is what the store holds: a message alone tells nothing.
func (h *handler) tellNotices(ctx context.Context, epoch uint32, c *cdc.Change) (bool, error) {
	var q store.NoticeRequest
	if c.Tx == nil || json.Unmarshal(c.Content, &q) != nil || !q.Notices {
		return false, nil
	}
	if q.Store != h.store.ID() {
		return true, nil
	}
	notices, _, err := retry(ctx, h, "read what is to be told of subscriptions", func() ([]store.SubscriptionNotice, struct{}, error) {
		n, err := h.store.PlaceNotices(ctx, c.Tx.Commit)
		return n, struct{}{}, err
	})
	if err != nil {
		return true, err
	}
	at := cdc.Position{Epoch: epoch, Commit: c.Tx.Commit, Ordinal: c.Ordinal}
	for _, n := range notices {
		h.match(mapping.NewSubscriptionNotice(h.mapper.Lineage(), n.Kind, n.Subscription, n.Since, at, c.Tx.Time, n.Data))
		at.Sub++
	}
	return true, nil
}
