//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rowhook/rowhook/client"
)

// A sut is a system under test: it reads a database's changes and POSTs them.
type sut interface {
	kind() string
	pid() int
	ended() <-chan struct{}
	// settle waits until nothing is left to be done of what was sent.
	settle(ctx context.Context) error
	stop() error
	kill()
}

// limit is L, run.
type limit struct{ *role }

// limitWorkers is how many requests L has under way.
const limitWorkers = 8

func (l limit) kind() string                 { return "L" }
func (l limit) ended() <-chan struct{}       { return l.done }
func (l limit) settle(context.Context) error { return nil }

// establish makes what L reads from.
func (d *database) establish(ctx context.Context) error {
	for _, sql := range []string{"create publication " + d.name + " for table items",
		"select pg_create_logical_replication_slot('" + d.name + "', 'pgoutput')"} {
		if _, err := d.conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("make publication and slot: %w", err)
		}
	}
	return nil
}

// startLimit starts L and returns when it reads.
func (b *bench) startLimit(ctx context.Context, d *database, path string) (sut, error) {
	r, err := startRole("limit", limitOrders{Database: d.ownURL(), Slot: d.name, Publication: d.name, Target: b.url(path), Workers: limitWorkers})
	if err != nil {
		return nil, err
	}
	var ready string
	if err := r.answer(ctx, &ready); err != nil {
		r.kill()
		return nil, err
	}
	return limit{r}, nil
}

// config is rowhook's: defaults, but for what a receiver on this machine needs.
const config = `
database: {url: "${env:DATABASE_URL}", slot: "${env:SLOT}", publication: "${env:SLOT}", environment: bench}
store: {url: "${env:STORE_URL}"}
api:
  listen: 127.0.0.1:0
  tokens: [{name: bench, token: ` + token + `, account: "*"}]
delivery:
  allow_http: true
  allow_networks: [127.0.0.0/8]
  accounts: {allow_http: true, allow_networks: [127.0.0.0/8]}
resources:
  item: {table: items, account: account_id, columns: all}
  note: {table: notes, account: account_id, columns: all}
`

const token = "bench-token-0123456789"

// rowhook is the real program, run as anybody would.
type rowhook struct {
	*process
	api     string // the address, with its base path
	root    string // the address alone
	profile string // the file that its CPU profile goes to; "" is none

	mu  sync.Mutex
	log []string // the last lines
}

func (r *rowhook) kind() string           { return "rowhook" }
func (r *rowhook) ended() <-chan struct{} { return r.done }

// build makes the program as it is shipped. With profiles it has the tag that can write them.
func build(ctx context.Context, dir string, profiles bool) (string, error) {
	program := filepath.Join(dir, "rowhook")
	args := []string{"build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", program}
	if profiles {
		args = append(args, "-tags", "profile")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "github.com/rowhook/rowhook/cmd/rowhook")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build rowhook: %w\n%s", err, out)
	}
	return program, nil
}

// startTimeout bounds the start of rowhook until it is ready.
const startTimeout = 60 * time.Second

// startRowhook starts rowhook and returns when it is ready. Only a life that is measured is profiled.
func (b *bench) startRowhook(ctx context.Context, d *database, measured bool) (*rowhook, error) {
	cmd := exec.Command(b.program, "run", "--config", d.config)
	for _, v := range os.Environ() {
		// Its own settings of the collector are part of what is measured.
		if !strings.HasPrefix(v, "GOMEMLIMIT=") && !strings.HasPrefix(v, "GOGC=") && !strings.HasPrefix(v, "GOMAXPROCS=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "DATABASE_URL="+d.url, "SLOT="+d.name, "STORE_URL="+d.store)
	r := &rowhook{}
	if b.profile != "" && measured {
		r.profile = filepath.Join(b.profile, b.turn+".pprof")
		cmd.Env = append(cmd.Env, "ROWHOOK_CPU_PROFILE="+r.profile)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = write
	r.process, err = launch("rowhook", cmd)
	_ = write.Close()
	if err != nil {
		_ = read.Close()
		return nil, err
	}
	ready := make(chan struct{})
	go r.listen(read, ready)
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-ready:
		return r, nil
	case <-r.done:
		err = errors.New("it ended")
	case <-timer.C:
		err = fmt.Errorf("it took more than %s", startTimeout)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	r.kill()
	return nil, fmt.Errorf("rowhook did not become ready: %w\n%s", err, r.lastLines())
}

// keptLines is how much of rowhook's log is kept for an error.
const keptLines = 20

// listen reads the log until its end, and finds in it that rowhook is ready, and its address.
func (r *rowhook) listen(from io.ReadCloser, ready chan struct{}) {
	defer from.Close()
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		r.mu.Lock()
		if r.log = append(r.log, line); len(r.log) > keptLines {
			r.log = r.log[1:]
		}
		r.mu.Unlock()
		if _, after, ok := strings.Cut(line, "msg=ready api="); ok && ready != nil {
			r.api, _, _ = strings.Cut(after, " ")
			r.root = strings.TrimSuffix(r.api, "/api/v1")
			close(ready)
			ready = nil
		}
	}
	_, _ = io.Copy(io.Discard, from)
}

func (r *rowhook) lastLines() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.log, "\n")
}

// itemEvents are those of the items.
var itemEvents = []string{"item.create", "item.update"}

// subscribe makes a subscription of the items at a URL. An empty account is the admin's.
func (r *rowhook) subscribe(ctx context.Context, url, account string) error {
	return r.subscribeTo(ctx, url, account, itemEvents)
}

func (r *rowhook) subscribeTo(ctx context.Context, url, account string, events []string) error {
	s := &client.Subscription{Events: events, TargetURL: url}
	if account != "" {
		s.Account = &account
	}
	return r.create(ctx, s)
}

func (r *rowhook) create(ctx context.Context, s *client.Subscription) error {
	c := client.Client{URL: r.api, Token: token}
	if _, err := c.Create(ctx, s); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return nil
}

// settleTimeout bounds what rowhook may take to write down what has arrived.
const settleTimeout = 60 * time.Second

// settle waits until every delivery is written down and acknowledged.
func (r *rowhook) settle(ctx context.Context) error {
	deadline := time.Now().Add(settleTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		open, err := r.gauges(ctx, "rowhook_deliveries_in_memory", "rowhook_replication_unsettled_batches")
		if err != nil {
			return err
		}
		if open == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("rowhook has not settled within %s: %v deliveries and batches are left", settleTimeout, open)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// gauges is the sum of some of rowhook's metrics.
func (r *rowhook) gauges(ctx context.Context, names ...string) (sum float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.root+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("read rowhook's metrics: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, fmt.Errorf("read rowhook's metrics: %w", err)
	}
	found := 0
	for line := range strings.Lines(string(text)) {
		for _, name := range names {
			if value, ok := strings.CutPrefix(line, name+" "); ok {
				n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
				if err != nil {
					return 0, fmt.Errorf("read rowhook's metrics: %s: %w", name, err)
				}
				sum += n
				found++
			}
		}
	}
	if found != len(names) {
		return 0, fmt.Errorf("read rowhook's metrics: %d of %v are there", found, names)
	}
	return sum, nil
}

// stop ends rowhook as an operator would.
func (r *rowhook) stop() error {
	if r.profile != "" {
		if err := r.writeProfile(); err != nil {
			r.kill()
			return err
		}
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop rowhook: %w\n%s", err, r.lastLines())
	}
	if err := r.wait(stopTimeout); err != nil {
		return fmt.Errorf("%w\n%s", err, r.lastLines())
	}
	return nil
}

// writeProfile has rowhook finish its profile: the file has its name when it is whole.
func (r *rowhook) writeProfile() error {
	if err := r.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		return fmt.Errorf("ask rowhook for its profile: %w", err)
	}
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := os.Stat(r.profile); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			break
		}
	}
	return fmt.Errorf("rowhook has not written %s", r.profile)
}
