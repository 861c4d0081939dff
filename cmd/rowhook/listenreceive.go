package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rowhook/rowhook/internal/listen"
)

// receiveFlags say how a receiver answers.
type receiveFlags struct {
	bind, fail string
	o          listen.ReceiveOptions
	gone       bool
	// names are those of the flags that are for a receiver alone.
	names []string
}

// ways are those of failing, of which one is enough.
var ways = []string{"status", "gone", "hang", "reset"}

func (f *receiveFlags) add(cmd *cobra.Command) {
	before := map[string]bool{}
	cmd.Flags().VisitAll(func(flag *pflag.Flag) { before[flag.Name] = true })
	flags := cmd.Flags()
	flags.StringVar(&f.bind, "bind", "", "be a target instead, at this address: 127.0.0.1:9000")
	flags.StringVar(&f.fail, "fail", "", "with --bind: how many requests fail: 30%; 100% where it is said how they do")
	flags.IntVar(&f.o.Status, "status", http.StatusInternalServerError, "with --bind: those that fail are answered with this status")
	flags.DurationVar(&f.o.RetryAfter, "retry-after", 0, "with --bind: the Retry-After of those that fail: 30s")
	flags.BoolVar(&f.gone, "gone", false, "with --bind: those that fail are answered with 410, which deletes the subscription")
	flags.BoolVar(&f.o.Hang, "hang", false, "with --bind: those that fail are never answered")
	flags.BoolVar(&f.o.Reset, "reset", false, "with --bind: the connections of those that fail are broken")
	flags.DurationVar(&f.o.Delay, "delay", 0, "with --bind: wait so long before each answer")
	flags.DurationVar(&f.o.Drip, "drip", 0, "with --bind: answer with a body that drips, a byte each time this has passed")
	flags.VisitAll(func(flag *pflag.Flag) {
		if !before[flag.Name] {
			f.names = append(f.names, flag.Name)
			_ = cmd.RegisterFlagCompletionFunc(flag.Name, cobra.NoFileCompletions)
		}
	})
	cmd.MarkFlagsMutuallyExclusive(ways...)
}

func (f *receiveFlags) check(cmd *cobra.Command) error {
	failing := false
	for _, way := range ways {
		failing = failing || cmd.Flags().Changed(way)
	}
	if f.gone {
		f.o.Status = http.StatusGone
	}
	switch percent, err := strconv.ParseFloat(strings.TrimSuffix(f.fail, "%"), 64); {
	case f.fail == "" && failing:
		f.o.Fail = 1
	case f.fail == "":
	case err != nil || !strings.HasSuffix(f.fail, "%") || !(percent >= 0 && percent <= 100):
		return usage(fmt.Sprintf("--fail %q is not a share", f.fail), "0% to 100%: --fail 30%")
	default:
		f.o.Fail = percent / 100
	}
	switch {
	case f.o.Status < 200 || f.o.Status > 599:
		return usage(fmt.Sprintf("--status %d is out of range", f.o.Status), "200 to 599")
	case f.o.Delay < 0 || f.o.Drip < 0 || f.o.RetryAfter < 0:
		return usage("a duration is less than 0", "--delay 2s, --drip 100ms, --retry-after 30s")
	case f.o.RetryAfter > 0 && f.o.RetryAfter < time.Second:
		return usage(fmt.Sprintf("--retry-after %s is less than a second", f.o.RetryAfter), "whole seconds: 30s")
	}
	return nil
}

// receive is a target until Ctrl-C.
func (p *program) receive(cmd *cobra.Command, f *listenFlags) error {
	ctx, out, release := p.whileShown(cmd.Context())
	defer release()
	o := f.receive.o
	o.Bind, o.Secret = f.receive.bind, f.secret
	o.Output = listen.Output{Out: out, Notes: p.stderr, JSON: f.output == outputJSON, Color: colored(p.stdout)}
	_, err := listen.Receive(ctx, o)
	return err
}
