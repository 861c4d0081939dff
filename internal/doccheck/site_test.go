package doccheck

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

func itoa(n int) string { return strconv.Itoa(n) }

// patience bounds every wait.
const patience = 5 * time.Minute

// await polls until ok.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("after %s, still not: %s", patience, what)
		case <-tick.C:
		}
	}
}

// needs skips where a program is missing. In CI all of them have to be there.
func needs(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing: CI needs it to run the commands of the docs", p)
		}
		t.Skipf("%s is missing: what needs it is not checked", p)
	}
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// copyTree copies the repository's files to a new directory, without what keep refuses.
func copyTree(t testing.TB, keep func(path string) bool) string {
	t.Helper()
	dir := t.TempDir()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // somebody's temporary file
			}
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || rel == "." {
			return err
		}
		if d.IsDir() && (rel == ".git" || !keep(filepath.ToSlash(rel))) {
			return filepath.SkipDir
		}
		if d.IsDir() {
			return os.Mkdir(filepath.Join(dir, rel), 0o755)
		}
		if !d.Type().IsRegular() || !keep(filepath.ToSlash(rel)) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), b, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// site is where a newcomer works: a fresh copy of the repository, and a Postgres of its own, in which role, slot and
// publication can have the names that the docs give them.
type site struct {
	t       *testing.T
	dir     string
	server  *pgtest.Server
	api     string // address of rowhook
	recv    string // address of the receiver
	env     []string
	replace *strings.Replacer
	// vars keeps what a terminal's blocks export; empty: each block has a terminal of its own.
	vars string
}

func newSite(t *testing.T) *site {
	t.Helper()
	needs(t, "bash", "psql", "openssl", "curl")
	s := &site{t: t, dir: copyTree(t, func(path string) bool { return path != "rowhook" && filepath.Base(path) != "testdata" }),
		server: pgtest.Cluster(t, nil), api: hooktest.FreeAddress(t), recv: hooktest.FreeAddress(t)}
	s.replace = strings.NewReplacer(
		"postgres://postgres:secret@localhost:5432/crm", s.server.URL("crm"),
		"@localhost:5432/crm", fmt.Sprintf("@127.0.0.1:%d/crm", s.server.Port()),
		"127.0.0.1:8477", s.api,
		"127.0.0.1:8080", s.recv,
		"rowhook dev --database-url", "rowhook dev --listen "+s.api+" --database-url",
	)
	s.env = append(environ(), "PORT="+portOf(s.recv))
	return s
}

// environ is the environment without what would change how the commands behave, and with one way of building, so that
// the Go build cache serves all copies.
func environ() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "ROWHOOK_") && name != "ROWHOOK_PG_BIN" || strings.HasPrefix(name, "PG") || name == "DATABASE_URL"
	})
	return append(env, "GOFLAGS=-trimpath", "CGO_ENABLED=0")
}

// command is a block in a terminal: from its first mistake on it does nothing more.
func (s *site) command(b block) *exec.Cmd {
	script := "set -euo pipefail\n"
	if s.vars != "" {
		script += "set -a; [ ! -f " + s.vars + " ] || . " + s.vars + "\ntrap 'export -p > " + s.vars + "' EXIT\n"
	}
	cmd := exec.Command("bash", "--noprofile", "--norc", "-c", script+s.replace.Replace(b.text))
	cmd.Dir, cmd.Env = s.dir, s.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// run runs a block to its end and returns what it printed.
func (s *site) run(b block) string {
	s.t.Helper()
	stdout, stderr, err := s.try(b)
	if err != nil {
		s.t.Fatalf("%s: %v\n%s\nstdout: %s\nstderr: %s", b, err, b.text, stdout, stderr)
	}
	return stdout
}

// try runs a block that may fail.
func (s *site) try(b block) (stdout, stderr string, err error) {
	var out, told bytes.Buffer
	cmd := s.command(b)
	cmd.Stdout, cmd.Stderr = &out, &told
	guard := time.AfterFunc(patience, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer guard.Stop()
	err = cmd.Run()
	return out.String(), told.String(), err
}

// process is a command that runs until it is stopped.
type process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	done chan error
	once sync.Once

	mu  sync.Mutex
	out bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// start starts a command and stops it at the end of the test at the latest.
func start(t testing.TB, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: cmd, done: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = p, p
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	go func() { p.done <- cmd.Wait() }()
	t.Cleanup(func() {
		p.once.Do(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); <-p.done })
	})
	return p
}

// prints waits until the output has what the pattern says.
func (p *process) prints(pattern string) {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline, tick := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !re.MatchString(p.output()) {
		select {
		case err := <-p.done:
			p.done <- err
			if !re.MatchString(p.output()) {
				p.t.Fatalf("%s ended (%v) before it printed %s:\n%s", p.name, err, pattern, p.output())
			}
			return
		case <-deadline:
			p.t.Fatalf("%s does not print %s:\n%s", p.name, pattern, p.output())
		case <-tick.C:
		}
	}
}

// stop presses Ctrl-C: the whole group gets it, as in a terminal. The exit code must be 0.
func (p *process) stop() {
	p.t.Helper()
	p.once.Do(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT)
		select {
		case err := <-p.done:
			// The go command itself exits with 1 when it was interrupted, whatever its program did.
			var exit *exec.ExitError
			byGo := errors.As(err, &exit) && exit.ExitCode() == 1 && strings.Contains(strings.Join(p.cmd.Args, " "), "\ngo run ")
			if err != nil && !(byGo && !strings.Contains(p.output(), "exit status")) {
				p.t.Errorf("%s: after Ctrl-C: %v\n%s", p.name, err, p.output())
			}
		case <-time.After(patience):
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
			p.t.Errorf("%s does not stop:\n%s", p.name, p.output())
		}
	})
}

func (s *site) start(b block) *process {
	s.t.Helper()
	return start(s.t, b.String(), s.command(b))
}
