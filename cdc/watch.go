package cdc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// watchEvery is how often the publication is looked at: the stream itself does not tell that a table was taken out.
const watchEvery = 5 * time.Second

// watch looks after the publication and the server's settings while the stream goes on: what other tables do is delivered meanwhile.
type watch struct {
	*Source
	ledger *ledger
	missed *Missed
	// tables are those that were saved as published. at is the position at the last look that found all of them, atTime
	// the time.
	tables []Published
	at     LSN
	atTime time.Time
	// begun is the keeper's.
	begun <-chan struct{}
}

// loop says in Status.Degraded when a mapped table is not published any more, keeps what was missed until it is accepted,
// and which tables are published.
func (w *watch) loop(ctx context.Context, sql *shared) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	if !w.cfg.Temporary {
		select {
		case <-ctx.Done():
			return
		case <-w.begun:
		}
		// What the process before noted, after this one had read the checkpoint.
		if c, known, err := w.checkpoints.LoadCheckpoint(ctx, w.cfg.Slot); err == nil && known {
			w.missed, w.tables = c.Missed, c.Tables
		}
	}
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.status.Degraded, w.status.DegradedKind = "", ""
	}()
	for {
		var missing []TableName
		var has []Published
		var standbys string
		_, at := w.ledger.positions()
		now := time.Now()
		err := sql.do(ctx, func(conn *pgx.Conn) (err error) {
			missing, has, err = w.published(ctx, conn)
			return errors.Join(err, w.measureLag(ctx, conn), conn.QueryRow(ctx, `select current_setting('synchronous_standby_names')`).Scan(&standbys))
		})
		switch {
		case err == nil && namesEverybody(standbys):
			// Before anything is written: that may wait for ever.
			w.setDegraded(CountedAsStandby, countedAsStandby(standbys).Error())
		case err == nil:
			err = w.seen(ctx, missing, has, at, now)
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			w.cfg.Log.Debug("the publication cannot be looked at", "error", cause(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// seen takes a look's result. What is missed is durable before the look counts.
func (w *watch) seen(ctx context.Context, missing []TableName, tables []Published, at LSN, now time.Time) error {
	missed := mergeMissed(w.missed, slices.Concat(missing, republished(w.tables, tables)), w.at, w.atTime)
	if len(missing) > 0 {
		tables = w.tables // what was published before, until it is again
	}
	if !w.cfg.Temporary && (missed != w.missed || !slices.Equal(tables, w.tables)) {
		if err := w.checkpoints.SavePublished(ctx, w.cfg.Slot, tables, missed); err != nil {
			return err
		}
		w.missed, w.tables = missed, tables
	}
	if len(missing) == 0 {
		w.at, w.atTime = at, now
	}
	switch {
	case len(missing) > 0:
		w.setDegraded(string(TablesUnpublished), w.notPublished(missing).Error())
	case w.missed != nil:
		w.setDegraded(string(TablesUnpublished), w.missedTables(w.missed).Error())
	default:
		w.setDegraded("", "")
	}
	return nil
}

// mergeMissed adds tables to what was missed: the older beginning counts for all of them. It returns the same when there
// is nothing to add.
func mergeMissed(m *Missed, tables []TableName, from LSN, at time.Time) *Missed {
	if m == nil {
		if len(tables) == 0 {
			return nil
		}
		return &Missed{Tables: tables, From: from, FromTime: at}
	}
	all := slices.Clone(m.Tables)
	for _, t := range tables {
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	if len(all) == len(m.Tables) {
		return m
	}
	return &Missed{Tables: all, From: m.From, FromTime: m.FromTime}
}

// noteMissed keeps, at a start, what was missed while nobody watched: mapped tables that were published at the checkpoint
// and are not now.
func (s *Source) noteMissed(ctx context.Context, conn *pgx.Conn, cp Checkpoint) error {
	missing, has, err := s.published(ctx, conn)
	if err != nil {
		return s.trouble("read the publication's tables", err)
	}
	missing = slices.DeleteFunc(missing, func(t TableName) bool {
		return !slices.ContainsFunc(cp.Tables, func(p Published) bool { return p.TableName == t })
	})
	missed := mergeMissed(cp.Missed, slices.Concat(missing, republished(cp.Tables, has)), cp.LSN, cp.SettledAt)
	if missed == cp.Missed {
		return nil
	}
	if err := s.checkpoints.SavePublished(ctx, s.cfg.Slot, cp.Tables, missed); err != nil {
		return &Error{Class: Unavailable, What: "note what the publication lacked", Err: cause(err)}
	}
	return nil
}

func (s *Source) setDegraded(kind, text string) {
	s.mu.Lock()
	was := s.status.Degraded
	s.status.Degraded, s.status.DegradedKind = text, kind
	s.mu.Unlock()
	switch {
	case text != "" && text != was:
		s.cfg.Log.Error("something is wrong with the source, or changes are missing", "reason", text)
	case text == "" && was != "":
		s.cfg.Log.Info("nothing is wrong with the source any more")
	}
}

// notPublished is a gap that grows: what happens to these tables meanwhile is never sent.
func (s *Source) notPublished(missing []TableName) error {
	names, quoted := listed(missing)
	return &Error{Class: Gap,
		What: fmt.Sprintf("the publication %s does not have %s any more: changes there are not sent, now or later", s.cfg.Publication, names),
		Mend: fmt.Sprintf("ALTER PUBLICATION %s ADD TABLE %s;  then: %s   (or restart rowhook, which adds them where it may)",
			QuoteIdent(s.cfg.Publication), quoted, acceptCommand)}
}

// missedTables is a gap that has ended.
func (s *Source) missedTables(m *Missed) *Error {
	names, _ := listed(m.Tables)
	return gap(Incident{Kind: TablesUnpublished, From: m.From, FromTime: m.FromTime, Tables: m.Tables}, nil,
		"what changed there before the publication had them again is never sent. To accept that, and let subscribers know: "+acceptCommand,
		"the publication %s did not have %s for some time after %s: changes there were not sent",
		s.cfg.Publication, names, m.FromTime.UTC().Format(time.RFC3339))
}

// listed are tables for people, and for a publication: without the tables that inherit from them, which nobody has mapped, and which
// need not have what it takes (a primary key is not inherited). To partitioned ones ONLY makes no difference.
func listed(tables []TableName) (names, quoted string) {
	n, q := make([]string, len(tables)), make([]string, len(tables))
	for i, t := range tables {
		n[i], q[i] = t.String(), "ONLY "+t.Quote()
	}
	return strings.Join(n, ", "), strings.Join(q, ", ")
}
