//go:build unix

package pgtest

import (
	"context"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	s := Cluster(t, nil)
	u, port := s.Database(t), s.Port()
	queryText(t, u, "select set_config('search_path', '', false)")
	if err := execute(u, "create table kept (a int)"); err != nil {
		t.Fatal(err)
	}
	kept := func(t *testing.T) {
		t.Helper()
		if s.Port() != port {
			t.Errorf("the port is %d, want %d", s.Port(), port)
		}
		if got := queryText(t, u, "select to_regclass('kept')::text"); got != "kept" {
			t.Errorf("the table is gone")
		}
	}

	for _, mode := range []Mode{Smart, Fast, Immediate} {
		t.Run("RestartKeepsData/"+string(mode), func(t *testing.T) {
			before := s.Pid()
			if err := s.Restart(mode); err != nil {
				t.Fatal(err)
			}
			if s.Pid() == before {
				t.Error("it is the same process")
			}
			kept(t)
		})
	}
	t.Run("UnknownModeIsRefused", func(t *testing.T) {
		if err := s.Restart("quick"); err == nil || !strings.Contains(err.Error(), "hint") {
			t.Errorf("got %v, want a hint", err)
		}
	})
	t.Run("SmartShutdownWaitsForClients", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		if err := s.Shutdown(Smart, 50*time.Millisecond); err == nil {
			t.Fatal("got no error, want a timeout")
		}
		if err := s.Shutdown(Fast, 30*time.Second); err != nil {
			t.Fatal(err)
		}
		if s.Pid() != 0 {
			t.Errorf("Pid of a server that is down is %d, want 0", s.Pid())
		}
		if err := s.StartAgain(); err != nil {
			t.Fatal(err)
		}
		kept(t)
	})
	t.Run("KilledPostmasterStartsAgain", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), u) // its session outlives the postmaster for a moment
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		done := s.Done()
		if err := s.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-done
		if err := s.StartAgain(); err != nil {
			t.Fatal(err)
		}
		kept(t)
	})
	t.Run("CrashStartsAgain", func(t *testing.T) {
		done := s.Done()
		if err := s.SignalAll(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-done
		if err := s.StartAgain(); err != nil {
			t.Fatal(err)
		}
		kept(t)
	})
	t.Run("FrozenServerAnswersNobody", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		if err := s.SignalAll(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := conn.Exec(ctx, "select 1"); err == nil {
			t.Error("a session answers")
		}
		if err := s.SignalAll(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		kept(t)
	})
	t.Run("SettingsChange", func(t *testing.T) {
		if err := s.Set(map[string]string{"max_connections": "33", "application_name": `it's "odd" \ `}); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(Fast); err != nil {
			t.Fatal(err)
		}
		if got := queryText(t, u, "show max_connections"); got != "33" {
			t.Errorf("max_connections is %s, want 33", got)
		}
		if got, want := queryText(t, u, "select setting from pg_file_settings where name = 'application_name'"), `it's "odd" \ `; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("BadSettingIsSaidFromTheLog", func(t *testing.T) {
		if err := s.Set(map[string]string{"no_such_setting": "1"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(Fast); err == nil || !strings.Contains(err.Error(), "no_such_setting") {
			t.Errorf("got %v, want it to name the setting", err)
		}
		delete(s.settings, "no_such_setting")
		if err := s.StartAgain(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("FrozenServerCanBeStopped", func(t *testing.T) {
		pid := s.Pid()
		if err := s.SignalAll(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if !gone(pid, time.Second) {
			t.Errorf("process %d is still there", pid)
		}
	})
}

func TestTakenPortIsTriedElsewhere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	offers := []int{taken, taken, pickPort()}
	s, err := Start(t.Context(), Options{port: func() int {
		offer := offers[0]
		offers = offers[1:]
		return offer
	}})
	if err != nil {
		unavailable(t, err)
	}
	defer s.Stop()
	if s.Port() == taken {
		t.Errorf("the port is %d, which is taken", taken)
	}
}

func TestCancelledStartLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Start(ctx, Options{port: func() int {
		cancel() // after initdb, before the server is ready
		return pickPort()
	}})
	if err == nil {
		t.Fatal("got no error")
	}
	if !strings.Contains(err.Error(), context.Canceled.Error()) {
		unavailable(t, err)
	}
}
