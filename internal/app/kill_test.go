package app_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// child is a rowhook in a process of its own: the test binary, run again by spawn. It says "ready" and its address.
func child() int {
	cfg, err := config.LoadBytes("config.yaml", []byte(os.Getenv("ROWHOOK_TEST_CHILD")), os.LookupEnv, os.ReadFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var a *app.App
	var addr string
	a, err = app.New(cfg, app.Options{Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Version: "child",
		OnReady: func(string) { fmt.Println("ready", addr) }})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bound, err := a.Listen()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	addr = bound.String()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := a.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// spawn starts a child and waits until it is ready.
func (r *rig) spawn() *exec.Cmd {
	r.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ROWHOOK_TEST_CHILD="+r.text, "DATABASE_URL="+r.url, "SLOT="+r.slot)
	cmd.Stderr = r.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ok {
		r.t.Fatalf("the child said %q: %v\n%s", line, err, r.log)
	}
	r.api = "http://" + addr
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return cmd
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

func TestKillBetweenTwoChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	cmd := r.spawn()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	kill(t, cmd)
	r.insertContact(2, 1)
	r.spawn()
	r.insertContact(3, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)) == 3 })
}

// TestKillsUnderLoad kills rowhook again and again, and restarts Postgres, while rows change and a part of the requests
// fails. Afterwards nothing is lost, the first deliveries of each instance are in order, and its newest event came last.
func TestKillsUnderLoad(t *testing.T) {
	t.Parallel()
	const keys, kills = 20, 8
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	srv := pgtest.Cluster(t, map[string]string{"fsync": "on"})
	r := newRigAt(t, srv.Database(t),
		hooktest.If(func(q hooktest.Request) bool { return strings.HasSuffix(q.Instance(), "3") }, hooktest.FailRate(0.5, seed, hooktest.Status(500)), hooktest.Always(hooktest.OK())))
	// The schedule must outlast the outages, and the receiver's dice.
	r.text = strings.Replace(r.text, "retries: [100ms, 200ms, 300ms, 1s, 2s, 2s, 2s, 2s]", "retries: ["+strings.Repeat("20ms, ", 19)+"20ms]", 1)
	cmd := r.spawn()
	r.subscribe("/")
	for k := 1; k <= keys; k++ {
		r.insertContact(k, 1)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	written := make(chan map[int]int, 1)
	go func() { written <- write(ctx, r.url, keys) }()
	for i := range kills {
		pause(t, time.Duration(300+rng.IntN(900))*time.Millisecond)
		if i%4 == 2 {
			if err := srv.Restart(pgtest.Immediate); err != nil {
				t.Fatal(err)
			}
			continue
		}
		kill(t, cmd)
		cmd = r.spawn()
	}
	cancel()
	last := <-written
	total := 0
	for _, n := range last {
		total += n
	}
	t.Logf("%d updates", total)
	want := func(q []hooktest.Request) bool {
		newest := map[string]string{}
		for _, x := range hooktest.Delivered(q) {
			newest[x.Instance()] = string(x.Data())
		}
		for k, n := range last {
			if n > 0 && !strings.Contains(newest[fmt.Sprint("contact/", k)], fmt.Sprintf(`"city":"%d"`, n)) {
				return false
			}
		}
		return true
	}
	all := r.recv.WaitFor(t, want)
	done := hooktest.Delivered(all)
	for instance, got := range hooktest.ByInstance(done) {
		var key int
		_, _ = fmt.Sscanf(instance, "contact/%d", &key)
		seen := map[string]bool{}
		next := 0
		for _, x := range got {
			if seen[x.ID] {
				continue
			}
			seen[x.ID] = true
			if x.Type == "contact.create" {
				continue
			}
			next++
			if !strings.Contains(string(x.Data()), fmt.Sprintf(`"city":"%d"`, next)) {
				t.Errorf("%s: first delivery number %d is %s", instance, next, x.Data())
				break
			}
		}
		if next != last[key] {
			t.Errorf("%s: %d of %d updates arrived", instance, next, last[key])
		}
	}
	if err := hooktest.CheckNewestLast(done); err != nil {
		t.Error(err)
	}
	t.Logf("%d requests, %d delivered, %d twice", len(all), len(done), len(hooktest.Duplicates(done)))
}

// pause waits for a moment that means nothing: the point in time is the random part of the test.
func pause(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// write updates rows until ctx is done, each with the number of its update, and returns the last number of each that was
// surely committed or may have been.
func write(ctx context.Context, url string, keys int) map[int]int {
	last := map[int]int{}
	pool, err := pgxpool.New(context.Background(), url)
	if err != nil {
		return last
	}
	defer pool.Close()
	// At a rate at which keys that fail half of the time keep up.
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		<-tick.C
		k := i%keys + 1
		for {
			n := last[k] + 1
			if _, err := pool.Exec(context.Background(), `update contacts set city = $2 where id = $1`, k, fmt.Sprint(n)); err == nil {
				last[k] = n
				break
			}
			// The answer may have been lost, not the update: ask.
			for {
				var city *string
				err := pool.QueryRow(context.Background(), `select city from contacts where id = $1`, k).Scan(&city)
				if err == nil || err == pgx.ErrNoRows {
					if city != nil && *city == fmt.Sprint(n) {
						last[k] = n
					}
					break
				}
				select {
				case <-time.After(20 * time.Millisecond):
				case <-ctx.Done():
				}
			}
			if last[k] == n {
				break
			}
		}
	}
	return last
}
