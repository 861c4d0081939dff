package app

import (
	"context"
	"errors"
	"maps"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// withRelated are the tables with those that relations read.
func withRelated(ctx context.Context, cfg *config.Config, def *mapping.Definition, tables map[cdc.TableName]*cdc.Table, lineage string) (map[cdc.TableName]*cdc.Table, error) {
	names := def.RelatedTables()
	if len(names) == 0 {
		return tables, nil
	}
	related, err := cdc.RelatedTables(ctx, cfg.Database.ReadURL, names, lineage)
	if err == nil {
		err = cdc.Guarded(related)
	}
	if err != nil {
		return nil, err
	}
	all := maps.Clone(tables)
	for name, t := range related {
		if mapped := all[name]; mapped != nil {
			// It is the mapped one's definition that the stream's changes have.
			mapped.Indexes = t.Indexes
			continue
		}
		all[name] = t
	}
	return all, nil
}

// completer gets the related rows that events wait for. It belongs to the source's goroutine.
type completer struct {
	rows *cdc.RowReader
	// maxRow bounds the rows of one event, in bytes.
	maxRow int
	// at is how many events are completed at once: fewer where their rows are large or slow.
	at int
}

const (
	// completedAtOnce is how many events wait for rows together at most.
	completedAtOnce = cdc.BatchRows
	// relatedBytes bounds the rows of several events, and the bodies that are made of them before they are handed on.
	relatedBytes = 4 << 20
	// slowTries is how often rows of one event are read that take too long.
	slowTries = 3
)

// submit hands the matched events to the dispatcher, after putting in the related rows, and the application's answers, that
// some of them wait for. Those
// that cannot be had make dead letters, in the place of their deliveries. Like Submit it fails only when ctx ends.
func (h *handler) submit(ctx context.Context, changes []cdc.Change, receipt *cdc.Receipt) error {
	jobs := h.jobs
	for len(jobs) > 0 {
		n := 0
		for n < len(jobs) && !jobs[n].Event.Incomplete() {
			n++
		}
		if n > 0 {
			if err := h.dispatcher.Submit(ctx, jobs[:n], receipt); err != nil {
				return err
			}
			jobs = jobs[n:]
			continue
		}
		n, err := h.submitCompleted(ctx, jobs, transactions(changes), receipt)
		if err != nil {
			return err
		}
		jobs = jobs[n:]
	}
	return nil
}

// submitCompleted completes the first of the jobs, and returns how many they are.
func (h *handler) submitCompleted(ctx context.Context, jobs []sender.Job, txs []*cdc.Tx, receipt *cdc.Receipt) (int, error) {
	c, n, err := h.completionOf(ctx, jobs, txs)
	if err != nil {
		return 0, err
	}
	from, size := 0, 0
	for i := range jobs[:n] {
		j := &jobs[i]
		if letter, dead := c.Complete(j.Event); dead {
			receipt.Add(1)
			for range partsOf(j) {
				receipt.Done()
			}
			h.letters, j.To, j.Keep = append(h.letters, letter), nil, false
			continue
		}
		// They were matched as they were: that none has a filter by now says nothing.
		h.decide(j, receipt)
		if size += j.Event.Size(); size > relatedBytes {
			if err := h.dispatcher.Submit(ctx, jobs[from:i+1], receipt); err != nil {
				return 0, err
			}
			from, size = i+1, 0
		}
	}
	return n, h.dispatcher.Submit(ctx, jobs[from:n], receipt)
}

// decide asks the filters of a job whose event is complete. Where all events are kept, so is one that none lets through.
func (h *handler) decide(j *sender.Job, receipt *cdc.Receipt) {
	if !h.keepsAll || j.Keep {
		h.filters.decide(j, receipt)
		return
	}
	receipt.Add(1) // before others are done, which may be all
	h.filters.decide(j, receipt)
	if j.Keep = len(j.To) == 0; !j.Keep {
		receipt.Done()
	}
}

// completionOf has what the first of the jobs' events wait for, and returns how many they are. The error is the context's.
func (h *handler) completionOf(ctx context.Context, jobs []sender.Job, txs []*cdc.Tx) (*mapping.Completion, int, error) {
	c, n, err := h.completer.read(ctx, jobs, txs)
	if err != nil {
		return nil, 0, err
	}
	if err := h.asker.ask(ctx, c, txs); err != nil {
		return nil, 0, err
	}
	for i := range jobs[:n] {
		if c.Lacks(jobs[i].Event) {
			n = i // the answers of those before it are enough for now
			break
		}
	}
	// Where the changes come from: a standby may not know yet what the application does.
	for owners, at := c.Owners(), 0; at < len(owners); {
		rows, err := h.app.rows.Read(ctx, txs, owners[at:], relatedBytes)
		if err != nil {
			return nil, 0, err
		}
		for _, row := range rows {
			c.Owned(at, row)
			at++
		}
	}
	return c, n, nil
}

// read reads the rows of the first events, and returns how many they are. The error is the context's.
func (c *completer) read(ctx context.Context, jobs []sender.Job, txs []*cdc.Tx) (*mapping.Completion, int, error) {
	if c.at == 0 {
		c.at = completedAtOnce
	}
	slow := 0
	for {
		n := min(c.at, len(jobs))
		events := make([]*mapping.Event, n)
		for i := range events {
			events[i] = jobs[i].Event
		}
		completion := mapping.NewCompletion(events)
		limit := min(relatedBytes, c.maxRow)
		if n == 1 {
			limit = c.maxRow
		}
		for {
			err := c.rows.ReadRelated(ctx, txs, completion, limit)
			var refused *cdc.LookupError
			if err == nil {
				c.at = min(2*c.at, completedAtOnce)
				return completion, n, nil
			}
			if !errors.As(err, &refused) {
				return nil, 0, err
			}
			if refused.TooMuch && n > 1 {
				c.at = n / 2
				break
			}
			if refused.Slow {
				if slow++; slow < slowTries {
					break
				}
			}
			completion.Fail(refused.Lookup, refused.Error())
		}
	}
}

// transactions are those of the changes, each once: what is read has to show them all.
func transactions(changes []cdc.Change) []*cdc.Tx {
	var txs []*cdc.Tx
	for i := range changes {
		if tx := changes[i].Tx; tx != nil && (len(txs) == 0 || txs[len(txs)-1] != tx) {
			txs = append(txs, tx)
		}
	}
	return txs
}
