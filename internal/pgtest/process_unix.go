//go:build unix

package pgtest

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// unsupported is nil on systems on which a server can be started.
var unsupported error

// A process is a running postmaster.
type process struct {
	pid  int
	done chan struct{} // closed when it has ended
	err  error         // how it ended; to be read after done
}

// attributes are those of every process that we start: another user if we are root, and a process group of its own, so
// that Ctrl-C in the terminal reaches us alone and we decide in which order things end.
func attributes(user *account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if user != nil {
		attr.Credential = &syscall.Credential{Uid: user.uid, Gid: user.gid}
	}
	dieWithParent(attr)
	return attr
}

// startProcess starts a postmaster that does not outlive us.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel ties the parent's death to the thread that forked, so that thread must live as long as the server:
		// it is this goroutine's until then.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		release, err := watch(p.pid)
		if err != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			started <- err
			return
		}
		started <- nil
		p.err = cmd.Wait()
		release()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// signal reaches the postmaster alone. It is an error if it has ended.
func (p *process) signal(sig syscall.Signal) error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
		return syscall.Kill(p.pid, sig)
	}
}

// signalAll reaches the postmaster and all its children.
func (p *process) signalAll(sig syscall.Signal) error {
	if sig == syscall.SIGKILL || sig == syscall.SIGSTOP {
		_ = p.signal(syscall.SIGSTOP) // so that it makes no more children while we list them
	}
	all := children(p.pid) // before it ends: then they are another's
	err := p.signal(sig)
	for _, child := range all {
		_ = syscall.Kill(child, sig) // it may have ended meanwhile
	}
	return err
}

// kill ends a process and its children by force and waits for it. Children that are left alone end by themselves.
func (p *process) kill() {
	_ = p.signalAll(syscall.SIGKILL)
	<-p.done
}

// resumeAll lets a server that was stopped with SIGSTOP hear other signals again.
func (p *process) resumeAll() { _ = p.signalAll(syscall.SIGCONT) }

// environment is ours without what would change the behaviour of Postgres.
func environment() []string {
	env := []string{"LC_ALL=C"}
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "PG") || strings.HasPrefix(name, "LC_") || name == "LANG" || name == "LANGUAGE" {
			continue
		}
		env = append(env, pair)
	}
	return env
}
