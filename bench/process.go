//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// stopTimeout bounds what a process may take to end.
const stopTimeout = 45 * time.Second

// A process is a child: one of our roles, or rowhook. It does not outlive us.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; to be read after done
}

// launch starts a command whose output, if any, is read by others.
func launch(name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, done: make(chan struct{})}
	// A group of its own: Ctrl-C in the terminal reaches us alone, and we end things in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	started := make(chan error)
	go func() {
		// The kernel ties the death of the parent to the thread that forked.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		state, err := cmd.Process.Wait()
		if err == nil && !state.Success() {
			err = &exec.ExitError{ProcessState: state}
		}
		p.err = err
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// wait waits until it has ended by itself.
func (p *process) wait(timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.done:
		if p.err != nil {
			return fmt.Errorf("%s did not end cleanly: %w", p.name, p.err)
		}
		return nil
	case <-timer.C:
		p.kill()
		return fmt.Errorf("%s still ran after %s and was killed", p.name, timeout)
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// A role is this program again, as a process of its own.
type role struct {
	*process
	in   *os.File
	read *os.File
	out  *json.Decoder // of read
}

// startRole starts a role and gives it its orders.
func startRole(name string, orders any) (*role, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(self, "-role="+name)
	cmd.Stderr = os.Stderr
	// Pipes of our own: those of exec.Cmd are closed by its Wait.
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdin, cmd.Stdout = inRead, outWrite
	p, err := launch(name, cmd)
	_, _ = inRead.Close(), outWrite.Close()
	if err != nil {
		_, _ = inWrite.Close(), outRead.Close()
		return nil, err
	}
	r := &role{process: p, in: inWrite, read: outRead, out: json.NewDecoder(outRead)}
	if err := json.NewEncoder(inWrite).Encode(orders); err != nil {
		return nil, errors.Join(fmt.Errorf("give %s its orders: %w", name, err), r.stop())
	}
	return r, nil
}

// answer reads what the role says next.
func (r *role) answer(ctx context.Context, to any) error {
	read := make(chan error, 1)
	go func() { read <- r.out.Decode(to) }()
	select {
	case err := <-read:
		if err != nil {
			return fmt.Errorf("read what %s says: %w", r.name, err)
		}
		return nil
	case <-ctx.Done():
		r.process.kill() // ends the read
		<-read
		return context.Cause(ctx)
	}
}

// stop ends the role.
func (r *role) stop() error {
	_ = r.in.Close()
	defer r.close()
	return r.wait(stopTimeout)
}

// kill ends the role by force.
func (r *role) kill() {
	r.process.kill()
	r.close()
}

func (r *role) close() { _, _ = r.in.Close(), r.read.Close() }

// untilEnd is closed when stdin ends: the order of a role to end.
func untilEnd(in *json.Decoder) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var rest any
		_ = in.Decode(&rest)
	}()
	return ended
}
