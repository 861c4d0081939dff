package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Mode says how a server is shut down: what Postgres calls smart, fast and immediate.
type Mode string

// The modes of Postgres.
const (
	Smart     Mode = "smart"     // wait until all clients have gone
	Fast      Mode = "fast"      // end their transactions, send the replication clients what is left, write a checkpoint
	Immediate Mode = "immediate" // like a crash: the next start recovers
)

func (m Mode) signal() (syscall.Signal, error) {
	switch m {
	case Smart:
		return syscall.SIGTERM, nil
	case Fast:
		return syscall.SIGINT, nil
	case Immediate:
		return syscall.SIGQUIT, nil
	}
	return 0, fmt.Errorf("unknown shutdown mode %q; hint: smart, fast or immediate", string(m))
}

const (
	startTimeout = 60 * time.Second // of one start, recovery included
	stopTimeout  = 5 * time.Second  // of each step of Stop
)

// A Server is a Postgres server of our own. Its methods may be called from several goroutines.
type Server struct {
	home     *home
	bin      binaries
	user     *account
	password string

	change  sync.Mutex // held while the server is started, stopped or configured
	stopped bool       // by Stop, for good

	mu       sync.Mutex // guards what follows
	settings map[string]string
	port     int
	version  string
	process  *process // the last one; nil before the first
}

// Start makes a new cluster in a temporary directory and starts it. It returns when the server takes connections; ctx
// bounds the start, not the life of the server, which is ended by [Server.Stop].
func Start(ctx context.Context, opts Options) (*Server, error) {
	if unsupported != nil {
		return nil, unsupported
	}
	user := unprivileged()
	bin, err := locate(ctx, opts, user)
	if err != nil {
		return nil, err
	}
	sweep(os.TempDir(), "/tmp", memoryDir)
	h, err := newHome(user, opts.Memory)
	if err != nil {
		return nil, err
	}
	s := &Server{home: h, bin: bin, user: user, password: newPassword(), settings: maps.Clone(defaultSettings)}
	maps.Copy(s.settings, opts.Settings)
	if err := initialise(ctx, bin, h, user, s.password); err != nil {
		return nil, errors.Join(err, h.remove())
	}
	pick := opts.port
	if pick == nil {
		pick = pickPort
	}
	for attempt := 0; ; attempt++ {
		s.port = pick()
		err = s.start(ctx)
		if err == nil {
			return s, nil
		}
		if attempt < 5 && strings.Contains(err.Error(), "could not create any TCP/IP sockets") {
			continue // somebody took the port in the meantime
		}
		return nil, errors.Join(err, s.Stop())
	}
}

// URL is the connection string of a database on this server, as its superuser. It works in psql too.
func (s *Server) URL(database string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Port is the server's port on 127.0.0.1. It stays the same over restarts.
func (s *Server) Port() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port
}

// Dir is the directory of the server's data and log, which [Server.Stop] removes. The data directory is data in it.
func (s *Server) Dir() string { return s.home.dir }

// Version is what the server calls itself, such as "16.4 (Debian 16.4-1)".
func (s *Server) Version() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// Major is the major version, such as 16.
func (s *Server) Major() int { return s.bin.major }

// Pid is the process id of the postmaster, 0 while the server is down.
func (s *Server) Pid() int {
	p := s.running()
	if p == nil {
		return 0
	}
	return p.pid
}

// Log returns the end of the server's log, at most 64 KiB.
func (s *Server) Log() string {
	return s.logSince(max(0, s.logSize()-maxLog))
}

// maxLog is how much of the log is read at a time.
const maxLog = 64 << 10

func (s *Server) logSize() int64 {
	info, err := os.Stat(s.home.log())
	if err != nil {
		return 0
	}
	return info.Size()
}

// logSince reads the log from an offset on.
func (s *Server) logSince(offset int64) string {
	f, err := os.Open(s.home.log())
	if err != nil {
		return ""
	}
	defer f.Close()
	text, _ := io.ReadAll(io.NewSectionReader(f, offset, maxLog))
	return string(text)
}

// StartAgain starts a server that was shut down, or that died, on the same data and port.
func (s *Server) StartAgain() error {
	s.change.Lock()
	defer s.change.Unlock()
	return s.start(context.Background())
}

// Shutdown shuts the server down and keeps its data, for [Server.StartAgain]. It fails if the server is still running
// after the timeout, and leaves it shutting down then. A server that is down already is no error.
func (s *Server) Shutdown(mode Mode, timeout time.Duration) error {
	s.change.Lock()
	defer s.change.Unlock()
	return s.shutdown(mode, timeout)
}

// Restart shuts the server down and starts it again. Settings that need a restart take effect.
func (s *Server) Restart(mode Mode) error {
	s.change.Lock()
	defer s.change.Unlock()
	if err := s.shutdown(mode, startTimeout); err != nil {
		return err
	}
	return s.start(context.Background())
}

// Set changes settings of postgresql.conf and has a running server load them. Some take effect only at the next
// [Server.Restart]. Loading is asynchronous: a session may see the old value for a moment.
func (s *Server) Set(settings map[string]string) error {
	s.change.Lock()
	defer s.change.Unlock()
	s.mu.Lock()
	maps.Copy(s.settings, settings)
	s.mu.Unlock()
	if s.stopped {
		return errStopped
	}
	if err := s.writeSettings(); err != nil {
		return err
	}
	if p := s.running(); p != nil {
		return p.signal(syscall.SIGHUP)
	}
	return nil
}

// Signal sends a signal to the postmaster alone. Sessions that exist go on, even if it is SIGKILL: then Postgres lets
// nobody start again on the data before they have ended, which they do by themselves.
func (s *Server) Signal(sig syscall.Signal) error {
	p := s.running()
	if p == nil {
		return os.ErrProcessDone
	}
	return p.signal(sig)
}

// SignalAll sends a signal to the postmaster and to all its processes. SIGSTOP makes a server that neither answers nor
// closes connections, SIGCONT wakes it; SIGKILL is the crash of a machine whose disk survives.
func (s *Server) SignalAll(sig syscall.Signal) error {
	p := s.running()
	if p == nil {
		return os.ErrProcessDone
	}
	return p.signalAll(sig)
}

// Done is closed when the postmaster that runs now has ended, of itself or not. It is closed already while the server is
// down.
func (s *Server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return s.process.done
}

// errStopped is what a server answers after Stop.
var errStopped = errors.New("the server was stopped and its directory removed")

// Stop shuts the server down, by force if it does not go by itself within seconds, and removes its directory. It may
// be called more than once.
func (s *Server) Stop() error {
	s.change.Lock()
	defer s.change.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	if p := s.running(); p != nil {
		p.resumeAll()
	}
	err := s.shutdown(Fast, stopTimeout)
	if err != nil { // a replication client that no longer reads holds it up, for example
		err = s.shutdown(Immediate, stopTimeout)
	}
	if err != nil {
		s.running().kill()
	}
	return s.home.remove()
}

// running is the process, or nil while the server is down.
func (s *Server) running() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	select {
	case <-s.process.done:
		return nil
	default:
		return s.process
	}
}

func (s *Server) shutdown(mode Mode, timeout time.Duration) error {
	sig, err := mode.signal()
	if err != nil {
		return err
	}
	p := s.running()
	if p == nil {
		return nil
	}
	if err := p.signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal the server: %w", err)
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("shut the server down (%s): still running after %s", mode, timeout)
	}
}

func (s *Server) writeSettings() error {
	s.mu.Lock()
	text := renderSettings(s.settings) + renderSettings(map[string]string{"port": strconv.Itoa(s.port)})
	s.mu.Unlock()
	file := filepath.Join(s.home.data(), "rowhook.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	return s.user.give(file)
}

// start starts the postmaster and waits until it takes connections.
func (s *Server) start(ctx context.Context) error {
	if s.stopped {
		return errStopped
	}
	if s.running() != nil {
		return errors.New("start the server: it is running")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %s", startTimeout))
	defer cancel()
	if err := s.writeSettings(); err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.startOnce(ctx)
		if err == nil || !strings.Contains(err.Error(), "pre-existing shared memory block") {
			return err
		}
		select { // sessions of a postmaster that was killed take a moment to notice and end
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func (s *Server) startOnce(ctx context.Context) error {
	logFile, err := os.OpenFile(s.home.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer logFile.Close()
	before := s.logSize()
	cmd := exec.Command(filepath.Join(s.bin.dir, "postgres"), "-D", s.home.data())
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.home.dir, environment(), attributes(s.user)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	p, err := startProcess(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w%s", cmd.Path, err, hintFor(s.bin, s.user))
	}
	s.mu.Lock()
	s.process = p
	s.mu.Unlock()
	if err := s.awaitReady(ctx, p); err != nil {
		p.kill()
		return fmt.Errorf("start the server: %w; the end of its log:\n%s", err, lastLines(s.logSince(before), 15))
	}
	return nil
}

// awaitReady tries to connect until it succeeds, the server has ended, or ctx is over.
func (s *Server) awaitReady(ctx context.Context, p *process) error {
	alive, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // an attempt may hang: it could be another program that has the port
		select {
		case <-p.done:
			cancel()
		case <-alive.Done():
		}
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		select {
		case <-p.done:
			return fmt.Errorf("it ended (%w)", firstError(p.err, errors.New("exit status 0")))
		case <-ctx.Done():
			return fmt.Errorf("%w (last: %w)", context.Cause(ctx), firstError(last, errors.New("no attempt")))
		case <-tick.C:
			if last = s.probe(alive); last == nil {
				return nil
			}
		}
	}
}

// probe connects and makes sure that it is this server that answers, not another that took the port.
func (s *Server) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var dir, version string
	err = conn.QueryRow(ctx, `select current_setting('data_directory'), current_setting('server_version')`).Scan(&dir, &version)
	if err != nil {
		return err
	}
	if dir != s.home.data() {
		return fmt.Errorf("port %d is served from %s", s.Port(), dir)
	}
	s.mu.Lock()
	s.version = version
	s.mu.Unlock()
	return nil
}

// firstError is the first of two errors that is not nil.
func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// lastLines cuts a text down to its last n lines.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
