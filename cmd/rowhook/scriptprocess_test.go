package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// process is one that a script has started in the background.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	code int
}

type processes map[string]*process

// start NAME PROGRAM ARGUMENT… starts a program; what it writes goes to NAME.out and NAME.err.
func start(ts *testscript.TestScript, _ bool, args []string) {
	name := args[0]
	stdout, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	defer stdout.Close()
	stderr, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	defer stderr.Close()
	p := &process{done: make(chan struct{})}
	p.cmd = exec.Command(lookPath(ts, args[1]), args[2:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = ts.MkAbs("."), stdout, stderr
	p.cmd.Env = append(os.Environ(), "NO_COLOR=1", "PATH="+ts.Getenv("PATH"))
	for _, v := range []string{"DATABASE_URL", "ROWHOOK_TOKEN", "ROWHOOK_URL", "APP_URL", "APP_TOKEN"} {
		if value := ts.Getenv(v); value != "" {
			p.cmd.Env = append(p.cmd.Env, v+"="+value)
		}
	}
	ts.Check(p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		p.code = p.cmd.ProcessState.ExitCode()
		close(p.done)
	}()
	ts.Value(processesKey{}).(processes)[name] = p
}

func lookPath(ts *testscript.TestScript, program string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
	}
	ts.Fatalf("there is no program %s", program)
	return ""
}

func named(ts *testscript.TestScript, name string) *process {
	p := ts.Value(processesKey{}).(processes)[name]
	if p == nil {
		ts.Fatalf("no process %q was started", name)
	}
	return p
}

// poll asks until the answer is yes.
func poll(ts *testscript.TestScript, what string, yes func() bool) {
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// await FILE PATTERN waits until the file has it.
func await(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile("(?m)" + args[1])
	name := strings.TrimSuffix(strings.TrimSuffix(args[0], ".out"), ".err")
	poll(ts, args[0]+" has "+args[1], func() bool {
		p := named(ts, name)
		over := false
		select {
		case <-p.done:
			over = true
		default:
		}
		content, err := os.ReadFile(ts.MkAbs(args[0]))
		ts.Check(err)
		if pattern.Match(content) {
			return true
		}
		if over {
			stderr, _ := os.ReadFile(ts.MkAbs(name + ".err"))
			ts.Fatalf("%s has ended, with %d; its output:\n%s\n%s", name, p.code, content, stderr)
		}
		return false
	})
}

// signal NAME SIGNAL sends INT, TERM, KILL, HUP or USR1.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]os.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL, "HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1}
	ts.Check(named(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

// ended NAME CODE waits until the process has ended with the code; -1 is a signal.
func ended(ts *testscript.TestScript, _ bool, args []string) {
	p := named(ts, args[0])
	select {
	case <-p.done:
	case <-time.After(patience):
		ts.Fatalf("%s has not ended within %s; stderr:\n%s", args[0], patience, ts.ReadFile(args[0]+".err"))
	}
	if want, _ := strconv.Atoi(args[1]); p.code != want {
		ts.Fatalf("%s ended with %d, want %d; stderr:\n%s\nstdout:\n%s", args[0], p.code, want, ts.ReadFile(args[0]+".err"), ts.ReadFile(args[0]+".out"))
	}
}

// capture VARIABLE FILE PATTERN sets a variable to the pattern's first group.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile("(?m)" + args[2]).FindStringSubmatch(ts.ReadFile(args[1]))
	if found == nil {
		ts.Fatalf("%s has no %s:\n%s", args[1], args[2], ts.ReadFile(args[1]))
	}
	ts.Setenv(args[0], found[1])
}

// paste FILE PATTERN [MORE] runs the first line that has the pattern in a shell, as somebody would who pastes it.
func paste(ts *testscript.TestScript, neg bool, args []string) {
	line := regexp.MustCompile("(?m)^ *(.*" + args[1] + ".*)$").FindStringSubmatch(ts.ReadFile(args[0]))
	if line == nil {
		ts.Fatalf("%s has no line with %s:\n%s", args[0], args[1], ts.ReadFile(args[0]))
	}
	text := line[1]
	if len(args) > 2 {
		text += " " + args[2]
	}
	if _, err := exec.LookPath(strings.Fields(text)[0]); err != nil {
		ts.Logf("%s is not installed: the line is not tried", strings.Fields(text)[0])
		return
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("/bin/sh", "-c", text)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), &stdout, &stderr
	err := cmd.Run()
	if (err != nil) != neg {
		ts.Fatalf("%s: %v\n%s%s", text, err, stdout.String(), stderr.String())
	}
	_, _ = ts.Stdout().Write(stdout.Bytes())
	if len(args) > 3 && !regexp.MustCompile(args[3]).Match(stdout.Bytes()) {
		ts.Fatalf("%s: got %s, want %s", text, stdout.String(), args[3])
	}
}

// gone PID waits until the process does not run any more.
func gone(ts *testscript.TestScript, _ bool, args []string) {
	poll(ts, "process "+args[0]+" is gone", func() bool {
		// One that nobody has reaped has no command line any more.
		line, err := os.ReadFile(filepath.Join("/proc", args[0], "cmdline"))
		return err != nil || len(line) == 0
	})
}

// hooks is the receiver of a script.
type hooks struct{ receiver *hooktest.Receiver }

// receiver opens a receiver: HOOKS_URL. What is sent to AGREES_URL is answered with the secret that it carries, to GONE_URL
// with 410.
func receiver(ts *testscript.TestScript, _ bool, _ []string) {
	h := ts.Value(receiverKey{}).(*hooks)
	h.receiver = hooktest.New(script{ts})
	h.receiver.Handle("/agrees", func(r hooktest.Request) hooktest.Answer {
		return hooktest.OK().With("X-Hook-Secret", r.Header.Get("X-Hook-Secret"))
	})
	ts.Setenv("HOOKS_URL", h.receiver.URL("/hooks"))
	ts.Setenv("AGREES_URL", h.receiver.URL("/agrees"))
	h.receiver.Handle("/gone", func(hooktest.Request) hooktest.Answer { return hooktest.Status(http.StatusGone) })
	ts.Setenv("GONE_URL", h.receiver.URL("/gone"))
}

// arrives TYPE INSTANCE SECRET waits for a hook, checks it, and writes its body to stdout.
func arrives(ts *testscript.TestScript, _ bool, args []string) {
	h := ts.Value(receiverKey{}).(*hooks)
	is := func(r hooktest.Request) bool { return r.Type == args[0] && r.Instance() == args[1] }
	for _, r := range h.receiver.WaitFor(script{ts}, func(all []hooktest.Request) bool {
		for _, r := range all {
			if is(r) {
				return true
			}
		}
		return false
	}) {
		if is(r) {
			ts.Check(r.Verify(args[2]))
			_, _ = ts.Stdout().Write(append(r.Body, '\n'))
			return
		}
	}
}

// ready URL waits until readiness is green, "! ready URL PATTERN" until it is red for that reason.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	u := strings.TrimSuffix(args[0], "/api/v1") + "/readyz"
	poll(ts, "readiness", func() bool {
		resp, err := http.Get(u)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		var body bytes.Buffer
		_, _ = body.ReadFrom(resp.Body)
		if neg {
			return resp.StatusCode == http.StatusServiceUnavailable && regexp.MustCompile(args[1]).Match(body.Bytes())
		}
		return resp.StatusCode == http.StatusOK
	})
}
