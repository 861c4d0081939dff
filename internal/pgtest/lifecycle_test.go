//go:build unix

package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// helperMode is the environment variable by which the test binary, run again, knows that it is a helper.
const helperMode = "PGTEST_HELPER"

// TestHelper is what the helper processes run. It starts what its mode says, prints a line about it, and waits to be
// killed or for the end of its input.
func TestHelper(t *testing.T) {
	switch os.Getenv(helperMode) {
	case "":
		t.Skip("runs in a helper process")
	case "watchdog":
		cmd := exec.Command("sleep", "300")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		release, err := startWatchdog(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("helper: %d -\n", cmd.Process.Pid)
		_, _ = io.Copy(io.Discard, os.Stdin)
		release()
	default:
		s, err := Start(t.Context(), Options{NoFetch: true})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("helper: %d %s\n", s.Pid(), s.Dir())
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = s.Stop()
	}
}

// A helper is a running helper process and what it says of its server.
type helper struct {
	cmd   *exec.Cmd
	stdin io.Closer
	pid   int
	dir   string
}

// startHelper runs the test binary again in the given mode. Its temporary directory is tmp.
func startHelper(t *testing.T, mode, tmp string, attr *syscall.SysProcAttr, env ...string) *helper {
	t.Helper()
	cmd := exec.Command(testBinary(t, tmp), "-test.run=^TestHelper$")
	cmd.Dir = tmp
	cmd.Env = append(os.Environ(), helperMode+"="+mode, "TMPDIR="+tmp, "GOCOVERDIR=")
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = attr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	h := &helper{cmd: cmd, stdin: stdin}
	var said []string
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		said = append(said, lines.Text())
		if _, err := fmt.Sscanf(lines.Text(), "helper: %d %s", &h.pid, &h.dir); err == nil {
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return h
		}
	}
	if all := strings.Join(said, "\n"); strings.Contains(all, ErrNotFound.Error()) {
		unavailable(t, fmt.Errorf("%w (said by a helper process)", ErrNotFound))
	}
	t.Fatalf("the helper process said only:\n%s", strings.Join(said, "\n"))
	return nil
}

// testBinary copies the binary of this test to a place that other users can reach too.
func testBinary(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pgtest.test")
	if err := os.WriteFile(file, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// openDir is a temporary directory that every user may use.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// mustBeGone fails the test if a process is still there after a while.
func mustBeGone(t *testing.T, what string, pid int) {
	t.Helper()
	if !gone(pid, 20*time.Second) {
		t.Errorf("%s %d is still there", what, pid)
	}
}

func mustNotExist(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there (%v)", dir, err)
	}
}

func TestKilledParent(t *testing.T) {
	t.Parallel()
	t.Run("TakesTheServerDownAndTheSweepRemovesIt", func(t *testing.T) {
		t.Parallel()
		tmp := openDir(t)
		h := startHelper(t, "server", tmp, nil)
		workers := children(h.pid)
		if len(workers) == 0 {
			t.Error("the postmaster has no children")
		}
		sweep(tmp)
		if _, err := os.Stat(h.dir); err != nil {
			t.Fatalf("a sweep took the directory of a living server: %v", err)
		}
		if err := h.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = h.cmd.Wait()
		mustBeGone(t, "postmaster", h.pid)
		for _, pid := range workers {
			mustBeGone(t, "child", pid)
		}
		sweep(tmp)
		mustNotExist(t, h.dir)
	})
	t.Run("FrozenServerIsEndedByTheSweep", func(t *testing.T) {
		t.Parallel()
		tmp := openDir(t)
		h := startHelper(t, "server", tmp, nil)
		if err := syscall.Kill(h.pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if err := h.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = h.cmd.Wait()
		sweep(tmp)
		mustBeGone(t, "postmaster", h.pid)
		mustNotExist(t, h.dir)
	})
	t.Run("WatchdogEndsTheServer", func(t *testing.T) {
		t.Parallel()
		h := startHelper(t, "watchdog", openDir(t), nil)
		if err := h.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = h.cmd.Wait()
		mustBeGone(t, "process", h.pid)
	})
}

func TestTerminalInterruptDoesNotReachTheServer(t *testing.T) {
	t.Parallel()
	s := Cluster(t, nil)
	group, err := syscall.Getpgid(s.Pid())
	if err != nil {
		t.Fatal(err)
	}
	if ours := syscall.Getpgrp(); group == ours {
		t.Errorf("the server is in our process group %d", ours)
	}
}

func TestWatchdogIsReleased(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "300")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	release, err := startWatchdog(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	release() // waits for the watchdog
	if err := syscall.Kill(cmd.Process.Pid, 0); err != nil || commandLine(cmd.Process.Pid) == "" {
		t.Errorf("the process was ended (%v)", err)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	owner := func(t *testing.T, dir string) uint32 {
		t.Helper()
		info, err := os.Stat(filepath.Join(dir, "data"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Uid
	}
	t.Run("RootRunsItUnprivileged", func(t *testing.T) {
		t.Parallel()
		s := Cluster(t, nil)
		if got := owner(t, s.Dir()); got == 0 {
			t.Error("the data belongs to root")
		}
	})
	t.Run("OthersRunItThemselves", func(t *testing.T) {
		t.Parallel()
		const uid = 65534
		h := startHelper(t, "server", openDir(t), &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}})
		if got := owner(t, h.dir); got != uid {
			t.Errorf("the data belongs to %d, want %d", got, uid)
		}
		_ = h.stdin.Close()
		mustBeGone(t, "postmaster", h.pid)
	})
}

func TestClosedTemporaryDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	user := unprivileged()
	if err := user.canReach(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want it to name %s", err, dir)
	}
	h, err := newHome(user, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := filepath.Dir(h.dir); got != "/tmp" {
		t.Errorf("the server is in %s, want /tmp", got)
	}
	if err := h.remove(); err != nil {
		t.Fatal(err)
	}
}

func TestSweepTouchesNothingElse(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	long := time.Now().Add(-48 * time.Hour)
	make := func(name string, files ...string) string {
		dir := filepath.Join(tmp, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(dir, long, long); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	abandoned := make(dirPrefix+"1", "lock", "log")
	halfMade := make(dirPrefix + "2")
	foreign := make(dirPrefix+"3", "somebody's file")
	other := make("rowhook-other", "lock")
	owned := make(dirPrefix+"4", "lock")
	unlock, err := lockNow(filepath.Join(owned, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	link := filepath.Join(tmp, dirPrefix+"5")
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}

	// A process that merely has the number of a postmaster is not one.
	reused := make(dirPrefix+"6", "lock")
	if err := os.Mkdir(filepath.Join(reused, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	pidFile := filepath.Join(reused, "data", "postmaster.pid")
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	sweep(tmp)
	for _, dir := range []string{abandoned, halfMade, reused} {
		mustNotExist(t, dir)
	}
	for _, dir := range []string{foreign, other, owned, link} {
		if _, err := os.Lstat(dir); err != nil {
			t.Errorf("the sweep took %s", dir)
		}
	}
}

func TestLockWait(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockNow(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := lockWait(ctx, file); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a timeout", err)
	}
	unlock()
	again, err := lockWait(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	again()
}
