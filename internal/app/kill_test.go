package app_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// child is a rowhook in a process of its own: the test binary, run again by spawn. It says "ready" and its address.
func child() int {
	cfg, err := config.LoadBytes("config.yaml", []byte(os.Getenv("ROWHOOK_TEST_CHILD")), os.LookupEnv, os.ReadFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var a *app.App
	var addr string
	a, err = app.New(cfg, app.Options{Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Version: "child",
		OnReady: func(string) { fmt.Println("ready", addr) }})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bound, err := a.Listen()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	addr = bound.String()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := a.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// spawn starts a child and waits until it is ready.
func (r *rig) spawn() *exec.Cmd {
	r.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ROWHOOK_TEST_CHILD="+r.text, "DATABASE_URL="+r.url, "SLOT="+r.slot)
	cmd.Stderr = r.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ok {
		r.t.Fatalf("the child said %q: %v\n%s", line, err, r.log)
	}
	r.api = "http://" + addr
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return cmd
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

func TestKillBetweenTwoChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	cmd := r.spawn()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	kill(t, cmd)
	r.insertContact(2, 1)
	r.spawn()
	r.insertContact(3, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)) == 3 })
}
