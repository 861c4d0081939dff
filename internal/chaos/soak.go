//go:build unix

package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// sampleEvery is how often a soak looks.
const sampleEvery = 10 * time.Second

// A Sample is what rowhook and its store take at a moment of a soak.
type Sample struct {
	// At is the time since the writers began.
	At time.Duration
	// RSS is what the process has resident, Heap what of the Go heap is in use: bytes.
	RSS, Heap int64
	// Goroutines and open files of the process.
	Goroutines, Files int64
	// Store is the size of rowhook's schema with its indexes and TOAST, Catalog that of the system catalog of its database,
	// where each partition leaves dead rows: bytes.
	Store, Catalog int64
	// Lag is the log that is not acknowledged, Retained what the slot keeps: bytes.
	Lag, Retained int64
	// Partitions there are of all tables; Oldest is the name of the oldest of the events.
	Partitions int64
	Oldest     string
	// Due are the deliveries in the store that are to be sent.
	Due int64
	// Delivered counts the events that were taken by their targets until then.
	Delivered int64
}

// soak takes samples until it has soaked for long enough.
func (r *run) soak(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, r.url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	began := time.Now()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		s, err := r.sample(ctx, conn)
		if err != nil {
			return fmt.Errorf("sample %d: %w", n, err)
		}
		s.At = time.Since(began)
		r.samples = append(r.samples, s)
		if n%6 == 0 {
			r.Log("%s", s)
		}
		if s.At >= r.Soak {
			return nil
		}
		select {
		case <-tick.C:
		case <-r.procs[0].done:
			return errors.New("rowhook has ended")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

const sampleSQL = `
select
	(select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_class c where c.relnamespace = 'rowhook'::regnamespace and c.relkind in ('r', 'S', 'm')),
	(select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_class c where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind = 'r'),
	(select count(*) from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relnamespace = 'rowhook'::regnamespace and c.relkind = 'r'),
	(select coalesce(min(c.relname), '') from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relnamespace = 'rowhook'::regnamespace and c.relname like 'event\_%' and c.relkind = 'r'),
	(select count(*) from rowhook.due),
	pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint,
	pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint
from pg_replication_slots where slot_name = 'chaos'`

func (r *run) sample(ctx context.Context, conn *pgx.Conn) (s Sample, err error) {
	err = conn.QueryRow(ctx, sampleSQL).Scan(&s.Store, &s.Catalog, &s.Partitions, &s.Oldest, &s.Due, &s.Lag, &s.Retained)
	if err != nil {
		return s, err
	}
	p := r.procs[0]
	if s.Heap, s.Goroutines, err = runtimeOf(ctx, p.API()); err != nil {
		return s, err
	}
	dir := filepath.Join("/proc", strconv.Itoa(p.Pid()))
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return s, err
	}
	s.Files = int64(len(files))
	if s.RSS, err = statusOf(dir, "VmRSS:"); err != nil {
		return s, err
	}
	for _, t := range r.subs.all {
		for _, n := range r.ledger.delivered(t) {
			s.Delivered += int64(n)
		}
	}
	return s, nil
}

// statusOf is a size that /proc tells of a process, in bytes.
func statusOf(dir, name string) (int64, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("%s/status has no %s", dir, name)
}

// runtimeOf is what rowhook's metrics tell of its runtime.
func runtimeOf(ctx context.Context, api string) (heap, goroutines int64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(api, "/api/v1")+"/metrics", nil)
	if err != nil {
		return 0, 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	found := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok {
			if n, err := strconv.ParseFloat(value, 64); err == nil {
				found[name] = n
			}
		}
	}
	heap, goroutines = int64(found["go_memstats_heap_inuse_bytes"]), int64(found["go_goroutines"])
	if resp.StatusCode != http.StatusOK || heap == 0 || goroutines == 0 {
		return 0, 0, fmt.Errorf("GET /metrics: %s, without the figures of the Go runtime", resp.Status)
	}
	return heap, goroutines, nil
}

func (s Sample) String() string {
	mib := func(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
	return fmt.Sprintf("%5s: RSS %s, heap %s, %d goroutines, %d files, store %s in %d partitions, catalog %s, lag %s, slot %s, %d due, %d delivered", s.At.Round(time.Second),
		mib(s.RSS), mib(s.Heap), s.Goroutines, s.Files, mib(s.Store), s.Partitions, mib(s.Catalog), mib(s.Lag), mib(s.Retained), s.Due, s.Delivered)
}
