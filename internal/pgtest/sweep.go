//go:build unix

package pgtest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// abandonedAfter is how old a directory without a lock file must be to count as abandoned: its maker died between two
// system calls.
const abandonedAfter = 10 * time.Minute

// sweep removes the directories of servers whose owner died without stopping them. A postmaster that survived its owner
// is ended first. Directories of others, and all that cannot be proven abandoned, stay.
func sweep(parents ...string) {
	seen := map[string]bool{}
	for _, parent := range parents {
		dirs, _ := filepath.Glob(filepath.Join(parent, dirPrefix+"*"))
		for _, dir := range dirs {
			if !seen[dir] {
				seen[dir] = true
				sweepOne(dir)
			}
		}
	}
}

func sweepOne(dir string) {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return
	}
	lock := filepath.Join(dir, "lock")
	if _, err := os.Lstat(lock); err != nil {
		if os.IsNotExist(err) && time.Since(info.ModTime()) > abandonedAfter {
			_ = os.Remove(dir) // only if empty: then it is ours, or harmless
		}
		return
	}
	unlock, err := lockNow(lock)
	if err != nil {
		return // owned, or another user's
	}
	defer unlock()
	data := filepath.Join(dir, "data")
	if pid := postmasterPid(data); pid > 0 && isPostmasterOf(pid, data) {
		for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} {
			_ = syscall.Kill(pid, sig)
			_ = syscall.Kill(pid, syscall.SIGCONT) // it may have been stopped by a test
			if gone(pid, 2*time.Second) {
				break
			}
		}
	}
	_ = os.RemoveAll(dir)
}

// postmasterPid reads the process id that a running server leaves in its data directory, 0 if there is none.
func postmasterPid(data string) int {
	content, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, _ := strconv.Atoi(strings.TrimSpace(first))
	return pid
}

// isPostmasterOf guards against a process id that was used again: the command line must name the data directory.
func isPostmasterOf(pid int, data string) bool {
	return strings.Contains(commandLine(pid), data)
}

// gone waits until a process that is not our child no longer runs. One that nobody reaps, as in a container whose first
// process does not care, has no command line any more.
func gone(pid int, wait time.Duration) bool {
	deadline := time.After(wait)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if syscall.Kill(pid, 0) == syscall.ESRCH || commandLine(pid) == "" {
			return true
		}
		select {
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
}
