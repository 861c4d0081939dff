package app_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// memoryMax is what the process may take at its peak, in KiB. The aim is two thirds of it.
const memoryMax = 96 << 10

// memorySizes are how much the memory tests move: `make memory` sets ROWHOOK_MEMORY=large.
type memorySizes struct {
	rows, backlog, subscriptions, touched, backfilled int
	// sent is how much of the backlog is waited for: its peak is at the beginning.
	sent int
	slow time.Duration
}

func sizesOfMemory() memorySizes {
	if os.Getenv("ROWHOOK_MEMORY") == "large" {
		return memorySizes{rows: 1_000_000, backlog: 100_000, sent: 100_000, subscriptions: 1000, touched: 300_000, backfilled: 1_000_000, slow: 30 * time.Second}
	}
	return memorySizes{rows: 200_000, backlog: 100_000, sent: 20_000, subscriptions: 1000, touched: 20_000, backfilled: 20_000, slow: 3 * time.Second}
}

// counter is a receiver that keeps nothing, so that it can be asked for millions of requests. It knows as much of HTTP as it needs, beside
// the program and under the race detector, to take hundreds of thousands of them at a hundredth of what net/http takes for it.
type counter struct {
	url   string
	count atomic.Int64
	pause atomic.Int64
}

func newCounter(t *testing.T) *counter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{url: "http://" + l.Addr().String()}
	ended := make(chan struct{})
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(t.Context(), func() { _ = conn.Close() })()
				if err := c.serve(conn, ended); err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Cleanup(func() { close(ended); _ = l.Close(); serving.Wait() })
	return c
}

// serve takes the requests of a connection until it ends. A request that is not understood is an error.
func (c *counter) serve(conn net.Conn, ended <-chan struct{}) error {
	buf, filled := make([]byte, 64<<10), 0
	for {
		size, err := sizeOfRequest(buf[:filled])
		if err != nil {
			return err
		}
		if size == 0 || size > filled {
			if max(size, filled+1) > len(buf) {
				return fmt.Errorf("a request has more than %d bytes", len(buf))
			}
			n, err := conn.Read(buf[filled:])
			if err != nil {
				return nil // who sends has gone
			}
			filled += n
			continue
		}
		filled = copy(buf, buf[size:filled])
		if d := time.Duration(c.pause.Load()); d > 0 {
			tm := time.NewTimer(d)
			select {
			case <-tm.C:
			case <-ended:
				tm.Stop()
				return nil
			}
		}
		c.count.Add(1)
		if _, err := conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")); err != nil {
			return nil
		}
	}
}

// sizeOfRequest is how many bytes the first request has, 0 where its head is not whole yet.
func sizeOfRequest(b []byte) (int, error) {
	head, _, whole := bytes.Cut(b, []byte("\r\n\r\n"))
	if !whole {
		return 0, nil
	}
	_, rest, found := bytes.Cut(head, []byte("\r\nContent-Length: "))
	value, _, _ := bytes.Cut(rest, []byte("\r\n"))
	n, err := strconv.Atoi(string(value))
	if !found || err != nil || !bytes.HasPrefix(head, []byte("POST / HTTP/1.1\r\n")) {
		return 0, fmt.Errorf("this is no request with a length:\n%s", head)
	}
	return len(head) + 4 + n, nil
}

func (c *counter) await(t *testing.T, n int64, patience time.Duration) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for c.count.Load() < n {
		select {
		case <-deadline:
			t.Fatalf("%d of %d requests within %s", c.count.Load(), n, patience)
		case <-tick.C:
		}
	}
}

// build makes the program as it is shipped: without the race detector.
func build(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "rowhook")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "github.com/rowhook/rowhook/cmd/rowhook")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build rowhook: %v\n%s", err, out)
	}
	return program
}

// runProgram starts the program with its own settings of the collector, and waits until it is ready.
func (r *rig) runProgram(program string) *exec.Cmd {
	r.t.Helper()
	if r.listen == "" {
		r.listen = hooktest.FreeAddress(r.t)
		r.text = strings.Replace(r.text, "127.0.0.1:0", r.listen, 1)
	}
	r.api = "http://" + r.listen
	file := filepath.Join(r.t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(r.text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(program, "run", "--config", file)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GOMEMLIMIT=") && !strings.HasPrefix(v, "GOGC=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "DATABASE_URL="+r.url, "SLOT="+r.slot)
	cmd.Stderr = r.log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(r.t, "rowhook is ready", func() bool {
		ready, err := r.admin().Ready(r.t.Context())
		return err == nil && ready.Ready
	})
	return cmd
}

// peak is the process's VmHWM in KiB.
func peak(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// processor is the time that the process has worked, in seconds.
func processor(t *testing.T, cmd *exec.Cmd) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	var ticks int
	for _, field := range strings.Fields(rest)[11:13] { // utime and stime, in hundredths
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return float64(ticks) / 100
}

func (r *rig) subscribeAt(url string, n int) {
	r.t.Helper()
	for range n {
		if _, err := r.admin().Create(r.t.Context(), &client.Subscription{Events: []string{"*"}, TargetURL: url}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestMemoryIsBounded runs the program as it is shipped and asks the kernel for its peak. `make memory` moves more.
func TestMemoryIsBounded(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the peak of a process is read from /proc, which is Linux's")
	}
	sizes, program := sizesOfMemory(), build(t)
	// check reports the peak of a run that delivered so many since the time.
	check := func(t *testing.T, cmd *exec.Cmd, what string, delivered int64, since time.Duration) {
		t.Helper()
		hwm := peak(t, cmd)
		t.Logf("%-44s %8d delivered %6.0f/s %5.1f s of CPU, peak %5.1f MiB", what, delivered, float64(delivered)/since.Seconds(), processor(t, cmd), float64(hwm)/1024)
		if hwm >= memoryMax {
			t.Errorf("%s: the peak is %d KiB, want less than %d", what, hwm, memoryMax)
		}
	}
	t.Run("Transaction", func(t *testing.T) {
		r := newRig(t)
		r.text = strings.Replace(r.text, "limits: {hold: 500ms}\n", "", 1)
		c := newCounter(t)
		cmd := r.runProgram(program)
		r.subscribeAt(c.url, 1)
		r.exec(`insert into contacts (id, account_id, first_name, last_name, email, city)
			select n, 1, 'Ada', 'L' || n, 'ada@example.com', repeat('x', 100) from generate_series(1, $1::int) n`, sizes.rows)
		begin := time.Now()
		c.await(t, int64(sizes.rows), 10*time.Minute)
		check(t, cmd, fmt.Sprintf("a transaction of %d rows", sizes.rows), c.count.Load(), time.Since(begin))
	})
	t.Run("WideTransaction", func(t *testing.T) {
		// A null is a byte in the stream, and 32 in a row image: blocks are held as they come.
		r := newRig(t)
		var columns strings.Builder
		for i := range 300 {
			fmt.Fprintf(&columns, ", c%d text", i)
		}
		r.exec(`create table wide (id int primary key` + columns.String() + `); alter table wide replica identity full`)
		r.text += "  wide: {table: wide, columns: [id, c0]}\n"
		rows := sizes.rows / 10
		r.exec(`insert into wide select n from generate_series(1, $1::int) n`, rows)
		c := newCounter(t)
		cmd := r.runProgram(program)
		r.subscribeAt(c.url, 1)
		begin := time.Now()
		r.exec(`update wide set c0 = 'x'`)
		c.await(t, int64(rows), 10*time.Minute)
		check(t, cmd, fmt.Sprintf("a transaction of %d rows of 300 nulls", rows), c.count.Load(), time.Since(begin))
	})
	t.Run("Backlog", func(t *testing.T) {
		r := newRig(t)
		c := newCounter(t)
		cmd := r.runProgram(program)
		r.subscribeAt(c.url, 10)
		r.insertContact(1, 1)
		c.await(t, 10, time.Minute)
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		r.exec(`with e as (
				insert into rowhook.event (position, committed_at, id, type, resource, instance, data)
				select set_byte(set_byte(set_byte(position, 17, n >> 16), 18, (n >> 8) & 255), 19, n & 255), committed_at, id || n, type, resource, 'b' || n,
					convert_to('{"id":' || n || ',"text":"' || repeat('x', 500) || '"}', 'UTF8')
				from rowhook.event, generate_series(1, $1::int) n returning position, committed_at, instance)
			insert into rowhook.due (subscription, key, position, committed_at, due_at, attempts)
			select (select min(key) from rowhook.subscription) + substr(instance, 2)::int % 10, hashtextextended(instance, 0), position, committed_at, now(), 1 from e`, sizes.backlog)
		begin := time.Now()
		cmd = r.runProgram(program)
		c.await(t, int64(sizes.sent)+10, 10*time.Minute)
		check(t, cmd, fmt.Sprintf("%d due at the start", sizes.backlog), c.count.Load()-10, time.Since(begin))
	})
	t.Run("SlowReceiver", func(t *testing.T) {
		r := newRig(t)
		c := newCounter(t)
		cmd := r.runProgram(program)
		r.subscribeAt(c.url, 8)
		c.pause.Store(int64(20 * time.Millisecond))
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), sizes.slow)
		defer cancel()
		load(ctx, t, r.url)
		check(t, cmd, fmt.Sprintf("8 receivers that take 20 ms, for %s", sizes.slow), c.count.Load(), time.Since(begin))
	})
	t.Run("Touch", func(t *testing.T) {
		r := newRig(t)
		r.text = strings.Replace(r.text, "limits: {hold: 500ms}\n", "", 1)
		r.exec(`alter table contacts add company_id bigint; create index on contacts (company_id); insert into companies values (1, 'Before')`)
		r.exec(`insert into contacts (id, account_id, first_name, last_name, email, city, company_id)
			select n, 1, 'Ada', 'L' || n, 'ada@example.com', repeat('x', 100), 1 from generate_series(1, $1::int) n`, sizes.touched)
		r.exec(`analyze contacts`)
		r.replace("    table: contacts\n", `    table: contacts
    relations: {company: {table: companies, foreign_key: company_id, touch: true, columns: [name]}}
`)
		r.replace("      email: ${email}\n", "      email: ${email}\n      company: ${company}\n")
		c := newCounter(t)
		cmd := r.runProgram(program)
		r.subscribeAt(c.url, 1)
		begin := time.Now()
		r.exec(`update companies set name = 'After'`)
		c.await(t, int64(sizes.touched), 10*time.Minute)
		check(t, cmd, fmt.Sprintf("a company of %d contacts touches them", sizes.touched), c.count.Load(), time.Since(begin))
	})
	t.Run("Backfill", func(t *testing.T) {
		r := newRig(t)
		r.exec(`insert into contacts (id, account_id, first_name, last_name, email, city)
			select n, 1, 'Ada', 'L' || n, 'ada@example.com', repeat('x', 100) from generate_series(1, $1::int) n`, sizes.backfilled)
		c, live := newCounter(t), newCounter(t)
		cmd := r.runProgram(program)
		s, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, TargetURL: c.url})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"note.*"}, TargetURL: live.url}); err != nil {
			t.Fatal(err)
		}
		id := 0
		latency := func() time.Duration {
			id++
			begin := time.Now()
			r.exec(`insert into notes (id, body) values ($1, 'x')`, id)
			live.await(t, int64(id), time.Minute)
			return time.Since(begin)
		}
		var idle, beside []time.Duration
		for range 50 {
			idle = append(idle, latency())
		}
		begin := time.Now()
		if _, err := r.admin().Backfill(t.Context(), s.ID, client.Backfill{}); err != nil {
			t.Fatal(err)
		}
		for c.count.Load() < int64(sizes.backfilled) && time.Since(begin) < 20*time.Minute {
			beside = append(beside, latency())
		}
		c.await(t, int64(sizes.backfilled), time.Second)
		check(t, cmd, fmt.Sprintf("a backfill of %d rows", sizes.backfilled), c.count.Load(), time.Since(begin))
		slices.Sort(idle)
		slices.Sort(beside)
		t.Logf("other changes take %v (median), and beside the backfill %v, 95 %% %v", idle[len(idle)/2], beside[len(beside)/2], beside[len(beside)*95/100])
	})
	t.Run("Subscriptions", func(t *testing.T) {
		r := newRig(t)
		c := newCounter(t)
		cmd := r.runProgram(program)
		before := peak(t, cmd)
		r.subscribeAt(c.url, sizes.subscriptions)
		begin := time.Now()
		const rows = 10
		for i := range rows {
			r.insertContact(i+1, 1)
		}
		c.await(t, int64(rows*sizes.subscriptions), 5*time.Minute)
		check(t, cmd, fmt.Sprintf("%d subscriptions (%.1f MiB before)", sizes.subscriptions, float64(before)/1024), c.count.Load(), time.Since(begin))
	})
}

// load inserts rows as fast as Postgres takes them until ctx is done.
func load(ctx context.Context, t *testing.T, url string) {
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for i := 0; ctx.Err() == nil; i++ {
		if _, err := conn.Exec(context.Background(), `insert into contacts (id, account_id, first_name, last_name, email, city)
			select n, 1, 'Ada', 'L' || n, 'ada@example.com', repeat('x', 100) from generate_series($1::int, $2::int) n`, 100*i+1, 100*i+100); err != nil {
			t.Fatal(err)
		}
	}
}
