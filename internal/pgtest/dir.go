package pgtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// dirPrefix starts the name of every directory that this package makes in the temporary directory.
const dirPrefix = "rowhook-pg-"

// A home is the directory of one server: its lock, data and log. The lock is held as long as our process lives, so that
// a sweep of another process knows from the kernel whether the directory still has an owner.
type home struct {
	dir    string
	unlock func()
}

func (h *home) data() string { return filepath.Join(h.dir, "data") }
func (h *home) log() string  { return filepath.Join(h.dir, "log") }

// memoryDir is where Linux keeps shared memory, as files.
const memoryDir = "/dev/shm"

// enoughMemory is what must be free there before a cluster is put into it. Containers often have 64 MiB only.
const enoughMemory = 2 << 30

// parentDir is a directory that the account can reach: memory if wanted and ample, else TMPDIR, or /tmp if TMPDIR is
// closed to it.
func parentDir(user *account, memory bool) (string, error) {
	if memory && freeSpace(memoryDir) >= enoughMemory && user.canReach(memoryDir) == nil {
		return memoryDir, nil
	}
	parent := os.TempDir()
	err := user.canReach(parent)
	if err == nil {
		return parent, nil
	}
	if user.canReach("/tmp") == nil {
		return "/tmp", nil
	}
	return "", fmt.Errorf("use the temporary directory: %w; hint: set TMPDIR to a directory that all may enter", err)
}

// newHome makes the directory of one server.
func newHome(user *account, memory bool) (*home, error) {
	parent, err := parentDir(user, memory)
	if err != nil {
		return nil, err
	}
	for range 10 {
		dir, err := os.MkdirTemp(parent, dirPrefix)
		if err != nil {
			return nil, fmt.Errorf("make a temporary directory: %w", err)
		}
		unlock, err := lockNow(filepath.Join(dir, "lock"))
		if errors.Is(err, errLocked) || errors.Is(err, os.ErrNotExist) {
			continue // a sweep was quicker; it removes the directory
		}
		if err == nil {
			err = user.give(dir)
		}
		if err != nil {
			_ = os.RemoveAll(dir)
			return nil, fmt.Errorf("prepare %s: %w", dir, err)
		}
		return &home{dir: dir, unlock: unlock}, nil
	}
	return nil, errors.New("make a temporary directory: others remove it all the time")
}

// remove ends the home and gives up its lock. It insists for a while: sessions of a postmaster that was killed write
// until they notice.
func (h *home) remove() error {
	defer h.unlock()
	deadline := time.After(5 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := os.RemoveAll(h.dir)
		if err == nil {
			return nil
		}
		select {
		case <-deadline:
			return err
		case <-tick.C:
		}
	}
}
