package pgtest

import (
	"context"
	"errors"
	"os/exec"
	"syscall"
)

// errLocked says that another process holds the lock.
var errLocked = errors.New("locked")

// unsupported is nil on systems on which a server can be started.
var unsupported = errors.New("start Postgres: not supported on Windows; hint: use WSL, or give a running server")

// A process is a running postmaster. Windows has none of ours.
type process struct {
	pid  int
	done chan struct{}
	err  error
}

func attributes(*account) *syscall.SysProcAttr         { return nil }
func startProcess(*exec.Cmd) (*process, error)         { return nil, unsupported }
func (p *process) signal(syscall.Signal) error         { return unsupported }
func (p *process) signalAll(syscall.Signal) error      { return unsupported }
func (p *process) resumeAll()                          {}
func (p *process) kill()                               {}
func freeSpace(string) uint64                          { return 0 }
func environment() []string                            { return nil }
func sweep(...string)                                  {}
func lockNow(string) (func(), error)                   { return nil, unsupported }
func lockWait(context.Context, string) (func(), error) { return nil, unsupported }
