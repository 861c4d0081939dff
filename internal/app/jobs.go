package app

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/sender"
)

// jobs does what was asked for and takes longer than a request. What is to be done is rows, so that it goes on after a restart;
// only the process that reads the slot does it. Its methods may be called from any goroutine, also of a nil *jobs.
type jobs struct {
	app      *App
	store    *store.Store
	resender *resender
	kinds    map[string]jobKind
	wake     chan struct{}
	tasks    sync.WaitGroup
	// paces bounds what all of them send again.
	paces pace
	// reading lets in the backfills that read.
	reading chan struct{}

	mu sync.Mutex
	// active says that this process reads the slot.
	active bool
	// running are those under way, by key, with what ends them.
	running map[int64]context.CancelFunc
	// aside is how many of them wait, and are not at work.
	aside int
	// crowded says that jobs may wait for a place: they have it before those that come back from a wait, and one that is to wait
	// gives its place up even where that takes no time. Else many that are behind their rate would keep all others out.
	crowded bool
}

// jobKind does a job, from where its Progress says. An error that is a jobError ends it as failed; after any other it is begun again, from
// what was saved last.
type jobKind func(ctx context.Context, r *jobRun) error

// jobError is why a job cannot be done, whoever tries, in words for who asked for it.
type jobError string

func (e jobError) Error() string { return string(e) }

// jobRun is a job under way.
type jobRun struct {
	*store.Job
	jobs  *jobs
	saved time.Time
}

const (
	// jobsAtOnce bounds the jobs at work, jobsMost all under way with those that wait for their rate or their target, and
	// jobsPerAccount those of one customer's: most of them wait.
	jobsAtOnce     = 16
	jobsMost       = 128
	jobsPerAccount = 4
	// jobsIdle is how often is looked for jobs that other processes have taken the request for. jobPause is how long one waits that could not go on.
	jobsIdle = 2 * time.Second
	jobPause = time.Second
)

// saveEvery is how often progress is written at most. Tests change it, in processes of their own.
var saveEvery = time.Second

func newJobs(a *App, st *store.Store, r *resender) *jobs {
	j := &jobs{app: a, store: st, resender: r, wake: make(chan struct{}, 1), running: map[int64]context.CancelFunc{}, paces: pace{perSecond: replaysPerSecond},
		reading: make(chan struct{}, backfillsAtOnce)}
	j.kinds = map[string]jobKind{jobReplay: j.replay, jobBackfill: j.backfill}
	return j
}

// look says that there may be a job.
func (j *jobs) look() {
	if j == nil {
		return
	}
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// activate says whether this process reads the slot. When it does not any more, what is under way ends, and is left to whoever does.
func (j *jobs) activate(active bool) {
	if j == nil {
		return
	}
	j.mu.Lock()
	j.active = active
	if !active {
		for _, cancel := range j.running {
			cancel()
		}
	}
	j.mu.Unlock()
	j.look()
}

// cancel ends a job that is under way here.
func (j *jobs) cancel(key int64) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if cancel := j.running[key]; cancel != nil {
		cancel()
	}
}

// loop does jobs until ctx or work is done, and returns when none is under way.
func (j *jobs) loop(ctx, work context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer context.AfterFunc(work, stop)()
	defer j.tasks.Wait()
	defer stop()
	told := ""
	for ctx.Err() == nil {
		switch err := j.begin(ctx); {
		case err == nil, errors.Is(err, sender.ErrNotOwner):
			told = ""
		case ctx.Err() == nil && err.Error() != told:
			told = err.Error()
			j.app.log.Warn("jobs cannot be read", "error", err)
		}
		t := time.NewTimer(jobsIdle)
		select {
		case <-ctx.Done():
		case <-j.wake:
		case <-t.C:
		}
		t.Stop()
	}
}

// begin begins jobs that are not under way, as far as there is room.
func (j *jobs) begin(ctx context.Context) error {
	j.mu.Lock()
	active, room := j.active, min(jobsAtOnce-len(j.running)+j.aside, jobsMost-len(j.running))
	running := slices.Collect(maps.Keys(j.running))
	j.crowded = active && room <= 0 && len(running) < jobsMost
	j.mu.Unlock()
	if !active || room <= 0 {
		return nil
	}
	open, err := j.store.OpenJobs(ctx, running, room, jobsPerAccount)
	if err != nil {
		return err
	}
	j.mu.Lock()
	j.crowded = len(open) == room && len(running)+room < jobsMost
	j.mu.Unlock()
	for _, x := range open {
		if j.kinds[x.Kind] == nil {
			continue // it is a later version's
		}
		j.mu.Lock()
		if j.active && j.running[x.Key] == nil {
			run, cancel := context.WithCancel(ctx)
			j.running[x.Key] = cancel
			j.tasks.Go(func() {
				defer cancel()
				j.do(run, x)
				j.mu.Lock()
				delete(j.running, x.Key)
				j.mu.Unlock()
				j.look()
			})
		}
		j.mu.Unlock()
	}
	return nil
}

// do does one, as often as it takes.
func (j *jobs) do(ctx context.Context, x *store.Job) {
	log := j.app.log.With("job", x.ID, "kind", x.Kind, "subscription", x.SubscriptionID)
	if x.State == store.JobQueued {
		log.Info("a job begins")
	} else {
		log.Info("a job goes on", "done", x.Done)
	}
	r := &jobRun{Job: x, jobs: j}
	told := ""
	for {
		r.State = store.JobRunning
		err := r.save(ctx, true)
		if err == nil {
			err = j.kinds[x.Kind](ctx, r)
		}
		var failed jobError
		switch {
		case err == nil:
			r.State = store.JobDone
		case errors.As(err, &failed):
			r.State, r.Error = store.JobFailed, failed.Error()
		}
		if r.State != store.JobRunning {
			err = r.save(ctx, true)
		}
		switch {
		case err == nil:
			j.app.metrics.jobEnded(x.Kind, r.State)
			if r.State == store.JobFailed {
				log.Warn("a job has failed", "done", r.Done, "error", r.Error)
			} else {
				log.Info("a job is done", "done", r.Done)
			}
			return
		case errors.Is(err, store.ErrJobEnded):
			j.app.metrics.jobEnded(x.Kind, store.JobCancelled)
			log.Info("a job was cancelled", "done", r.Done)
			return
		case ctx.Err() != nil, errors.Is(err, sender.ErrNotOwner), errors.Is(err, sender.ErrSuspended):
			// It was cancelled, or is left to whoever reads the slot.
			if open, look := j.store.JobOpen(context.WithoutCancel(ctx), x.Key); look == nil && !open {
				j.app.metrics.jobEnded(x.Kind, store.JobCancelled)
				log.Info("a job was cancelled", "done", r.Done)
			}
			return
		}
		if text := err.Error(); text != told {
			told = text
			log.Warn("a job cannot go on now: it is tried again", "error", err)
		}
		_ = sleep(ctx, jobPause) // where ctx ends it, so does the next try
	}
}

// waitAside lets others work while one waits, and returns when there is room for it again, and nobody waits for it who has not begun.
func (j *jobs) waitAside(ctx context.Context, wait func() error) error {
	j.mu.Lock()
	j.aside++
	crowded := j.crowded
	j.mu.Unlock()
	if crowded {
		j.look()
	}
	err := wait()
	for {
		j.mu.Lock()
		if err != nil || !j.crowded && len(j.running)-j.aside < jobsAtOnce {
			j.aside--
			j.mu.Unlock()
			return err
		}
		j.mu.Unlock()
		err = sleep(ctx, replayLook)
	}
}

// progressed says how far it has come, in the words of the kind. It is written now and then; where it was not, what came since is
// done again after a crash.
func (r *jobRun) progressed(ctx context.Context, done int64, progress any) error {
	text, err := json.Marshal(progress)
	if err != nil {
		return err
	}
	r.Done, r.Progress = done, text
	return r.save(ctx, false)
}

func (r *jobRun) save(ctx context.Context, now bool) error {
	if !now && time.Since(r.saved) < saveEvery {
		return nil
	}
	err := r.jobs.store.SaveJob(ctx, r.Job)
	if err == nil {
		r.saved = time.Now()
	}
	return err
}

// count tells how many jobs are under way here.
func (j *jobs) count() int {
	if j == nil {
		return 0
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.running)
}

// pace bounds how much is done in a second.
type pace struct {
	perSecond int

	mu   sync.Mutex
	next time.Time
}

// wait returns when n more may be done, after what was asked for before.
func (p *pace) wait(ctx context.Context, n int) error {
	if p.perSecond == 0 || n == 0 {
		return ctx.Err()
	}
	p.mu.Lock()
	now := time.Now()
	at := p.next
	if at.Before(now) {
		at = now
	}
	p.next = at.Add(time.Duration(n) * time.Second / time.Duration(p.perSecond))
	p.mu.Unlock()
	return sleep(ctx, at.Sub(now))
}
