//go:build unix

package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Build builds rowhook into a directory and returns the path of the program. The flags are those of go build, such as -race.
func Build(ctx context.Context, dir string, flags ...string) (string, error) {
	program := filepath.Join(dir, "rowhook")
	args := append([]string{"build", "-buildvcs=false", "-o", program}, flags...)
	out, err := exec.CommandContext(ctx, "go", append(args, "github.com/rowhook/rowhook/cmd/rowhook")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build rowhook: %w\n%s", err, out)
	}
	return program, nil
}

// A Process is one life of rowhook.
type Process struct {
	cmd   *exec.Cmd
	begin func(time.Time) // told when it is about to begin to stream
	ready chan struct{}   // closed when it has said that it is ready
	done  chan struct{}   // closed when it has ended
	err   error           // how it ended; to be read after done
	api   atomic.Pointer[string]
	peak  atomic.Int64
}

// Launch starts rowhook run with a config file. What it logs goes to log. begin is told the moment from
// which on it may send something. It does not outlive this process.
func Launch(program, config string, env []string, log io.Writer, begin func(time.Time)) (*Process, error) {
	p := &Process{begin: begin, cmd: exec.Command(program, "run", "--config", config), ready: make(chan struct{}), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(p.cmd.SysProcAttr)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	go func() {
		// The kernel ties the death of the parent to the thread that forked.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.listen(stderr, log)
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start rowhook: %w", err)
	}
	return p, nil
}

// listen copies the log until its end, and finds in it that rowhook is ready, and its address.
func (p *Process) listen(from io.Reader, to io.Writer) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	ready := p.ready
	for lines.Scan() {
		line := lines.Text()
		_, _ = fmt.Fprintf(to, "%d %s\n", p.Pid(), line)
		if strings.Contains(line, "msg=API ") {
			p.begin(time.Now())
		}
		if _, after, ok := strings.Cut(line, "msg=starting "); ok {
			if _, api, ok := strings.Cut(after, "api="); ok {
				api, _, _ = strings.Cut(api, " ")
				p.api.Store(&api)
			}
		}
		if ready != nil && strings.Contains(line, "msg=ready ") {
			close(ready)
			ready = nil
		}
	}
	_, _ = io.Copy(io.Discard, from)
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// API is the address of its API, empty until it has said so.
func (p *Process) API() string {
	if api := p.api.Load(); api != nil {
		return *api
	}
	return ""
}

// WaitReady waits until rowhook streams or stands by.
func (p *Process) WaitReady(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-p.done:
		return fmt.Errorf("rowhook ended before it was ready: %w", errors.Join(p.err))
	case <-ctx.Done():
		return fmt.Errorf("rowhook is not ready: %w", context.Cause(ctx))
	}
}

// Kill ends it with SIGKILL and returns, when it is gone, the moment just before.
func (p *Process) Kill() time.Time {
	p.measure()
	at := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
	return at
}

// Stop ends it with SIGTERM, and says so if it does not end cleanly within the timeout.
func (p *Process) Stop(timeout time.Duration) error {
	p.measure()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop rowhook: %w", err)
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.done:
		if p.err != nil {
			return fmt.Errorf("rowhook did not stop cleanly: %w", p.err)
		}
		return nil
	case <-timer.C:
		return fmt.Errorf("rowhook still runs %s after SIGTERM", timeout)
	}
}

// Signal sends it a signal, such as SIGSTOP.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Peak is the most memory that it had resident, in bytes, as far as it was looked at: at its end, before the signal. 0
// where the system does not tell.
func (p *Process) Peak() int64 { return p.peak.Load() }

func (p *Process) measure() {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.Pid()), "status"))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			p.peak.Store(kib << 10)
		}
	}
}
