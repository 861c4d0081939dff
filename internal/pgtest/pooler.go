package pgtest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Pooler starts a pgbouncer before the server of the URL and returns the URL with its address. The settings are lines of its
// section [pgbouncer]. It skips the test where there is no pgbouncer, unless ROWHOOK_REQUIRE_PGBOUNCER is set.
func Pooler(tb TB, database string, settings ...string) string {
	tb.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if os.Getenv("ROWHOOK_REQUIRE_PGBOUNCER") == "" {
			tb.Skipf("pgtest: there is no pgbouncer here: install the package of that name")
		}
		tb.Fatalf("pgtest: ROWHOOK_REQUIRE_PGBOUNCER is set, and there is no pgbouncer: %v", err)
		return ""
	}
	u, err := url.Parse(database)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
		return ""
	}
	user := unprivileged()
	dir, err := os.MkdirTemp("", "rowhook-pgbouncer-")
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
		return ""
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	port := strconv.Itoa(pickPort())
	password, _ := u.User.Password()
	config := fmt.Sprintf("[databases]\n* = host=%s port=%s user=%s password=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %s\n"+
		"auth_type = any\nunix_socket_dir =\nlogfile = %s\npidfile =\n", u.Hostname(), u.Port(), u.User.Username(), password, port, filepath.Join(dir, "log"))
	for _, s := range settings {
		config += s + "\n"
	}
	ini := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(ini, []byte(config), 0o600); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	for _, file := range []string{dir, ini} {
		if err := user.give(file); err != nil {
			tb.Fatalf("pgtest: %v", err)
		}
	}
	cmd := exec.Command(program, "-q", ini)
	cmd.SysProcAttr = attributes(user)
	p, err := startProcess(cmd)
	if err != nil {
		tb.Fatalf("pgtest: start pgbouncer: %v", err)
		return ""
	}
	tb.Cleanup(func() {
		_ = p.signal(syscall.SIGKILL)
		<-p.done
	})
	u.Host = net.JoinHostPort("127.0.0.1", port)
	for deadline := time.Now().Add(startTimeout); ; {
		conn, err := net.Dial("tcp", u.Host)
		if err == nil {
			_ = conn.Close()
			return u.String()
		}
		select {
		case <-p.done:
			said, _ := os.ReadFile(filepath.Join(dir, "log"))
			tb.Fatalf("pgtest: pgbouncer ended: %v\n%s", p.err, said)
			return ""
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			tb.Fatalf("pgtest: pgbouncer does not listen: %v", err)
			return ""
		}
	}
}
