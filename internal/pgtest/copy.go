package pgtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Standby makes a hot standby of this server and starts both; the server is restarted for it. The standby reads the physical slot of the
// name, has hot_standby_feedback, and the settings over those of the server. It is stopped at the end of the test.
func (s *Server) Standby(tb TB, slot string, settings map[string]string) *Server {
	tb.Helper()
	if err := execute(s.URL("postgres"), "select pg_create_physical_replication_slot('"+slot+"', true)"); err != nil {
		tb.Fatalf("pgtest: make the standby's slot: %v", err)
	}
	all := map[string]string{
		"primary_conninfo":     fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s dbname=postgres sslmode=disable", s.Port(), superuser, s.password),
		"primary_slot_name":    slot,
		"hot_standby_feedback": "on",
	}
	maps.Copy(all, settings)
	return s.Copy(tb, all, "standby.signal")
}

// Copy starts a server on a copy of this one's data, with its databases, its slots and its system identifier, and the settings over its
// own. Files are made empty in the data directory before. The server is restarted for it. The copy is stopped at the end of the test.
func (s *Server) Copy(tb TB, settings map[string]string, files ...string) *Server {
	tb.Helper()
	copied, err := s.copy(settings, files)
	if err != nil {
		tb.Fatalf("pgtest: copy a server: %v", err)
		return nil
	}
	tb.Cleanup(func() {
		if err := copied.Stop(); err != nil {
			tb.Errorf("pgtest: stop the copy: %v", err)
		}
	})
	return copied
}

func (s *Server) copy(settings map[string]string, files []string) (*Server, error) {
	if err := s.Shutdown(Fast, startTimeout); err != nil {
		return nil, err
	}
	h, err := newHome(s.user, true)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	c := &Server{home: h, bin: s.bin, user: s.user, password: s.password, settings: maps.Clone(s.settings), port: pickPort()}
	s.mu.Unlock()
	maps.Copy(c.settings, settings)
	// With owners and modes, which Postgres insists on.
	if out, err := exec.Command("cp", "-a", s.home.data(), h.data()).CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("cp: %w: %s", err, strings.TrimSpace(string(out))), h.remove())
	}
	for _, name := range files {
		file := filepath.Join(h.data(), name)
		if err := errors.Join(os.WriteFile(file, nil, 0o600), s.user.give(file)); err != nil {
			return nil, errors.Join(err, h.remove())
		}
	}
	if err := s.StartAgain(); err != nil {
		return nil, errors.Join(err, h.remove())
	}
	if err := c.start(context.Background()); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}
