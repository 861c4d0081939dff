package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rowhook/rowhook/internal/listen"
)

// listenLease is how long the subscription of a listener that was killed stays.
const listenLease = 10 * time.Minute

// listenFlags are those of listen.
type listenFlags struct {
	remote  remote
	output  string
	secret  string
	o       listen.Options
	request requestFlags
	receive receiveFlags
	// of the feed alone.
	following []string
}

func (p *program) listenCommand() *cobra.Command {
	f := listenFlags{remote: remote{output: "json"}}
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Get the hooks of a running rowhook on a laptop, without a way in from outside",
		Long: "listen follows a running rowhook over its REST API: it makes a subscription without a target for as long as it runs, and of each\n" +
			"event the very request that a target would get, signed. It checks and shows it, with what has changed, and sends it on to\n" +
			"--forward-to. r and Enter send the last one again. The address and the token come from --url and --token, or from ROWHOOK_URL\n" +
			"and ROWHOOK_TOKEN.\n\n" +
			"With --bind it is a target itself, and fails on purpose if it is asked to.",
		Example: "  rowhook listen --events contact.*,deal.update --forward-to http://localhost:3000/hooks\n" +
			"  rowhook listen --last 5 --format cloudevents --forward-to http://localhost:3000/hooks\n" +
			"  rowhook listen --bind 127.0.0.1:9000 --secret whsec_… --fail 30% --status 503",
		Args: none, ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.remote.url, "url", "", "the API, with its base path; ROWHOOK_URL, else "+defaultURL)
	flags.StringVar(&f.remote.token, "token", "", "a token of the API; ROWHOOK_TOKEN")
	flags.StringSliceVar(&f.o.Wish.Events, "events", []string{"*"}, "contact.create, or deal.* for all of a resource, or *; several with commas")
	flags.StringVar(&f.o.Wish.Filter, "filter", "", "only events of which this expression is true: 'data.status == \"won\"'")
	flags.Var(optional{&f.o.Wish.ResourceID}, "resource-id", "only the events of this instance")
	flags.Var(optional{&f.o.Wish.Account}, "account", "only the events of this customer; only with an admin's token")
	flags.StringVar(&f.o.Subscription, "subscription", "", "follow the feed of this one, in its format, instead of making one")
	flags.IntVar(&f.o.Last, "last", 0, "show so many of the newest stored events first")
	flags.StringVar(&f.o.ForwardTo, "forward-to", "", "send each request on to this URL")
	flags.DurationVar(&f.o.Timeout, "timeout", 15*time.Second, "how long it may take to be sent on")
	flags.IntVar(&f.o.Retries, "retry", 0, "how often to try again what is not taken, after 1s, 2s, 4s and so on")
	f.request.add(cmd)
	flags.VisitAll(func(flag *pflag.Flag) { f.following = append(f.following, flag.Name) })
	flags.StringVar(&f.secret, "secret", "", "what hooks are signed with: whsec_ and base64, or @file with it; WEBHOOK_SECRET. Left out, one is made and shown")
	f.receive.add(cmd)
	addOutputFlag(cmd, &f.output)
	_ = cmd.RegisterFlagCompletionFunc("events", f.remote.completeEvents(true))
	_ = cmd.RegisterFlagCompletionFunc("subscription", f.remote.completeIDs)
	for _, name := range []string{"url", "token", "filter", "resource-id", "account", "last", "forward-to", "timeout", "retry", "secret", "header", "auth-bearer", "auth-basic", "custom-data"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.listen(cmd, &f) }
	return cmd
}

// check looks at the flags together.
func (f *listenFlags) check(cmd *cobra.Command) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	given := func(names []string) string {
		i := slices.IndexFunc(names, cmd.Flags().Changed)
		if i < 0 {
			return ""
		}
		return "--" + names[i]
	}
	if f.receive.bind != "" {
		if wrong := given(f.following); wrong != "" {
			return usage(wrong+" is for following a rowhook, and --bind is given", "leave one of them out: with --bind, hooks are sent to listen as to any target")
		}
		return f.receive.check(cmd)
	}
	if wrong := given(f.receive.names); wrong != "" {
		return usage(wrong+" needs --bind", "rowhook listen --bind 127.0.0.1:9000 "+wrong)
	}
	if f.o.Subscription != "" {
		own := []string{"events", "filter", "resource-id", "account"}
		for flag := range requestMembers {
			own = append(own, flag)
		}
		slices.Sort(own)
		if wrong := given(own); wrong != "" {
			return usage(wrong+" and --subscription are both given", "leave one out: its own events and its own request are followed")
		}
	}
	if f.o.Last > 0 && f.o.Subscription == "" {
		for _, flag := range []string{"filter", "account"} {
			if cmd.Flags().Changed(flag) {
				return usage("--last and --"+flag+" are both given", "leave one out: stored events are not looked at by it. --subscription ID has the stored ones of a subscription")
			}
		}
	}
	switch u, err := url.Parse(f.o.ForwardTo); {
	case f.o.ForwardTo != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https"):
		return usage("--forward-to is not a URL", "give one such as http://localhost:3000/hooks")
	case f.o.Last < 0 || f.o.Last > maxEvents:
		return usage(fmt.Sprintf("--last %d is out of range", f.o.Last), fmt.Sprintf("0 to %d", maxEvents))
	case f.o.Retries < 0:
		return usage(fmt.Sprintf("--retry %d is out of range", f.o.Retries), "0 or more")
	case f.o.Timeout <= 0:
		return usage(fmt.Sprintf("--timeout %s is out of range", f.o.Timeout), "more than 0: 15s")
	case f.o.ForwardTo == "" && cmd.Flags().Changed("retry"):
		return usage("--retry needs --forward-to", "rowhook listen --forward-to http://localhost:3000/hooks --retry 3")
	}
	return nil
}

func (p *program) listen(cmd *cobra.Command, f *listenFlags) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	var err error
	if f.secret == "" {
		f.secret = os.Getenv("WEBHOOK_SECRET")
	}
	if f.secret, err = secretFlag("--secret", f.secret); err != nil {
		return err
	}
	if f.receive.bind != "" {
		return p.receive(cmd, f)
	}
	if f.o.Request, err = f.request.request(); err != nil {
		return err
	}
	c, err := f.remote.client()
	if err != nil {
		return err
	}
	ctx, out, release := p.whileShown(cmd.Context())
	defer release()
	f.o.Client, f.o.Secret, f.o.Lease = c, f.secret, listenLease
	f.o.Output = listen.Output{Out: out, Notes: p.stderr, JSON: f.output == outputJSON, Color: colored(p.stdout)}
	f.o.Again = again(ctx, cmd.InOrStdin())
	if _, err := listen.Run(ctx, f.o); err != nil {
		return f.remote.unknownID(ctx, c, f.o.Subscription, answered(c, err))
	}
	return nil
}

// again is sent to when r and Enter are pressed.
func again(ctx context.Context, in io.Reader) <-chan struct{} {
	// In the background of a shell reading would stop the process.
	signal.Ignore(syscall.SIGTTIN)
	pressed := make(chan struct{})
	go func() { // it ends with the process: reading cannot be cut short
		defer close(pressed)
		for lines := bufio.NewScanner(in); lines.Scan(); {
			if strings.TrimSpace(lines.Text()) != "r" {
				continue
			}
			select {
			case pressed <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return pressed
}
