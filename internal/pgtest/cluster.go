package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// superuser is the role of the URLs that a [Server] gives out.
const superuser = "postgres"

// initialise makes a cluster in the home's data directory. It is UTF-8 with a locale that sorts by bytes everywhere:
// C.UTF-8, or C where that does not exist.
func initialise(ctx context.Context, bin binaries, h *home, user *account, password string) error {
	passwordFile := filepath.Join(h.dir, "password")
	verifier, err := verifierOf(password)
	if err != nil {
		return fmt.Errorf("make the password's verifier: %w", err)
	}
	if err := os.WriteFile(passwordFile, []byte(verifier+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the password: %w", err)
	}
	defer os.Remove(passwordFile)
	if err := user.give(passwordFile); err != nil {
		return fmt.Errorf("hand over the password: %w", err)
	}
	var output string
	for _, locale := range []string{"C.UTF-8", "C"} {
		output, err = runInitdb(ctx, bin, h, user,
			"--pgdata", h.data(), "--username", superuser, "--pwfile", passwordFile, "--auth", "scram-sha-256",
			"--encoding", "UTF8", "--locale", locale, "--lc-messages", "C", "--no-sync")
		if err == nil || !strings.Contains(output, "invalid locale") {
			break
		}
		_ = os.RemoveAll(h.data())
	}
	if err != nil {
		return fmt.Errorf("run %s: %w%s: %s", filepath.Join(bin.dir, "initdb"), err, hintFor(bin, user), strings.TrimSpace(output))
	}
	conf, err := os.OpenFile(filepath.Join(h.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open postgresql.conf: %w", err)
	}
	_, err = conf.WriteString("\ninclude_if_exists = 'rowhook.conf'\n")
	if closeErr := conf.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write postgresql.conf: %w", err)
	}
	return nil
}

func runInitdb(ctx context.Context, bin binaries, h *home, user *account, args ...string) (output string, err error) {
	var out bytes.Buffer
	cmd := exec.Command(filepath.Join(bin.dir, "initdb"), args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = h.dir, environment(), &out, &out, attributes(user)
	cmd.WaitDelay = 5 * time.Second // for a grandchild that keeps the output open
	p, err := startProcess(cmd)
	if err != nil {
		return "", err
	}
	select {
	case <-ctx.Done():
		p.kill()
		return out.String(), context.Cause(ctx)
	case <-p.done:
		return out.String(), p.err
	}
}

// hintFor explains the commonest reason why binaries that exist cannot be run.
func hintFor(bin binaries, user *account) string {
	if err := user.canReach(bin.dir); err != nil {
		return fmt.Sprintf(" (%v; hint: move the binaries, or run as another user)", err)
	}
	return ""
}
