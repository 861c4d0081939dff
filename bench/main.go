//go:build unix

// Command bench measures rowhook beside the limit of the machine: a throw-away Postgres, a fast receiver, a load
// generator and the shortest possible sidecar, each in a process of its own, in turns. docs/benchmarks.md has the method.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// roles are what this program is when it runs itself: one JSON object on stdin says what to do, stdout is the answer, and
// the end of stdin is the order to end, so that no role outlives the one that started it.
var roles = map[string]func(ctx context.Context, in *json.Decoder, out io.Writer) error{
	"receiver": receive,
	"limit":    limitRole,
	"load":     loadRole,
	"post":     postRole,
	"app":      appRole,
	"ask":      askRole,
}

// run does what the arguments say and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 1 {
		if role, ok := strings.CutPrefix(args[0], "-role="); ok {
			return runRole(role, stdin, stdout, stderr)
		}
	}
	o, list, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	if list {
		for _, s := range scenarios(o) {
			fmt.Fprintf(stdout, "%-20s %s\n", s.Name, s.What)
		}
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o.out, o.progress = stdout, stderr
	if err := measure(ctx, o); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

func runRole(name string, stdin io.Reader, stdout, stderr io.Writer) int {
	role, ok := roles[name]
	if !ok {
		fmt.Fprintf(stderr, "bench: there is no role %q\n", name)
		return 2
	}
	// Ctrl-C reaches the whole group: the one that started the role decides when it ends.
	signal.Ignore(os.Interrupt)
	if err := role(context.Background(), json.NewDecoder(stdin), stdout); err != nil {
		fmt.Fprintf(stderr, "bench: %s: %v\n", name, err)
		return 1
	}
	return 0
}

// options are those of one call.
type options struct {
	only    *regexp.Regexp // the scenarios; nil is all
	repeats int
	quick   bool
	large   bool
	json    string // a file; "" is none
	profile string // a directory; "" is no profiles

	out, progress io.Writer
}

func parse(args []string, stderr io.Writer) (o options, list bool, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	only := f.String("run", "", "the scenarios whose names match this regular expression; default: all")
	f.IntVar(&o.repeats, "repeats", 3, "how often each variant is run")
	f.BoolVar(&o.quick, "quick", false, "make every scenario short: to see that it works, not to measure")
	f.BoolVar(&o.large, "large", false, "also the scenarios that take minutes")
	f.StringVar(&o.json, "json", "", "write the results to this file as JSON")
	f.StringVar(&o.profile, "profile", "", "write a CPU profile of each run of rowhook into this directory")
	f.BoolVar(&list, "list", false, "print the scenarios")
	if err := f.Parse(args); err != nil {
		return o, false, err
	}
	if f.NArg() > 0 {
		return o, false, fmt.Errorf("takes no argument, and got %q; hint: -run %s", f.Arg(0), f.Arg(0))
	}
	if o.repeats < 1 {
		return o, false, fmt.Errorf("-repeats %d is less than 1", o.repeats)
	}
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, false, fmt.Errorf("-run: %w", err)
	}
	return o, list, nil
}
