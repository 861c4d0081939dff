package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/finding"
)

func (p *program) statusCommand() *cobra.Command {
	var r remote
	var file string
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "status [--watch [2s]]",
		Short: "Show whether hooks flow, what is wrong, and what to do",
		Long: "status asks a running rowhook how it is: whether it replicates, how far behind, what fails, what waits, and what to do.\n" +
			"The address and the token (an admin's) come from --url and --token, or from ROWHOOK_URL and ROWHOOK_TOKEN, or from the\n" +
			"config that --config names. Where no rowhook answers, and there is a config, it looks at the database itself.\n\n" +
			"It exits with 0 when nothing is wrong, and with 1 when there is an error, or no rowhook to ask; warnings are no errors.",
		Example: "  rowhook status\n" +
			"  rowhook status --watch\n" +
			"  rowhook status --config config.yaml     # also where rowhook does not run",
		Args:              none,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	r.flags(cmd.Flags())
	completeOutput(cmd)
	addConfigFlag(cmd, &file)
	cmd.Flags().DurationVar(&every, "watch", 0, "show it again and again, after this time")
	cmd.Flags().Lookup("watch").NoOptDefVal = "2s"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if every < 0 || every > 0 && every < 100*time.Millisecond {
			return usage(fmt.Sprintf("--watch %s is too short", every), "give 100ms or more")
		}
		var cfg *config.Config
		if file != "" {
			var err error
			if cfg, err = config.Load(file); err != nil {
				return err
			}
			r.configured(cfg)
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		if every > 0 {
			return p.watchStatus(cmd.Context(), &r, c, every)
		}
		s, err := c.Status(cmd.Context())
		if err != nil {
			err = answered(c, err)
			if cfg == nil || errors.As(err, new(*client.Error)) {
				return err
			}
			fmt.Fprintln(p.stderr, explain(err))
			return p.statusWithout(cmd, file, cfg)
		}
		if r.output == "json" {
			err = p.printJSON(s)
		} else {
			err = writeStatus(plain{p.stdout}, s, time.Now())
		}
		if err == nil && s.Worst() == client.SeverityError {
			return errFound
		}
		return err
	}
	return cmd
}

// configured takes address and token from the config, where nothing else gives them.
func (r *remote) configured(cfg *config.Config) {
	r.url = first(r.url, envURL(), listenURL(cfg))
	if first(r.token, envToken()) == "" {
		for _, t := range cfg.API.Tokens {
			if t.Account == "*" {
				r.token = t.Token.Reveal()
				return
			}
		}
	}
}

// watchStatus shows the status until it is interrupted: in place on a terminal, else a line each time.
func (p *program) watchStatus(ctx context.Context, r *remote, c *client.Client, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	inPlace := isTerminal(p.stdout) && r.output != "json"
	on, since := screen{w: p.stdout}, ""
	for {
		s, err := c.Status(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var told *client.Error
		if errors.As(err, &told) && told.Status < 500 {
			return answered(c, err)
		}
		switch {
		case err != nil && inPlace:
			since = first(since, time.Now().Format(time.TimeOnly))
			if err := on.without("no answer since " + since + ": " + explain(answered(c, err))); err != nil {
				return err
			}
		case err != nil:
			fmt.Fprintln(p.stdout, time.Now().Format(time.TimeOnly)+"  "+explain(answered(c, err)))
		case r.output == "json":
			if err := p.printJSON(s); err != nil {
				return err
			}
		case inPlace:
			since = ""
			var b strings.Builder
			err := writeStatus(&b, s, time.Now())
			if err == nil {
				err = on.show(b.String())
			}
			if err != nil {
				return err
			}
		default:
			fmt.Fprintln(plain{p.stdout}, statusLine(s, time.Now()))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// statusWithout tells what can be known of a rowhook that does not answer: what its slot keeps, and why it would not start.
func (p *program) statusWithout(cmd *cobra.Command, file string, cfg *config.Config) error {
	lag, err := cdc.MeasureLag(cmd.Context(), cdc.Config{URL: cfg.Database.URL, Slot: cfg.Database.Slot})
	switch {
	case err != nil:
		fmt.Fprintf(p.stdout, "the database does not answer either: %v\n", err)
	case lag.WALStatus == "":
		fmt.Fprintf(p.stdout, "slot %s: there is none\n", cfg.Database.Slot)
	default:
		who := "nobody reads it"
		if lag.Active {
			who = "some process reads it"
		}
		fmt.Fprintf(p.stdout, "slot %s: %s, %s; it keeps %s of WAL (max_wal_lag %s), %s not acknowledged\n", cfg.Database.Slot, lag.WALStatus, who,
			bytesText(lag.Retained), bytesText(cfg.Database.MaxWALLag), bytesText(lag.Behind))
		if lag.Bounded {
			fmt.Fprintf(p.stdout, "  it is lost after %s more (max_slot_wal_keep_size)\n", bytesText(max(lag.Safe, 0)))
		}
	}
	report, err := p.check(cmd, file)
	if err != nil {
		return err
	}
	wrong := 0
	for _, f := range report.Findings {
		if f.Level != finding.Error {
			continue
		}
		wrong++
		writeFinding(plain{p.stdout}, client.StatusFinding{Severity: client.SeverityError, What: f.Place + ": " + f.What, So: f.Consequence, Mend: f.Mend}, time.Now())
	}
	if wrong == 0 {
		fmt.Fprintln(p.stdout, "config and database are as rowhook needs them: start it, rowhook run --config "+file+", or see its log for why it ended")
	}
	return errFound
}

// writeFinding writes what is wrong, what follows, and the next step.
func writeFinding(w io.Writer, f client.StatusFinding, now time.Time) {
	since := ""
	if f.Since != nil {
		since = ", since " + ago(*f.Since, now)
	}
	fmt.Fprintf(w, "\n%s: %s%s\n", f.Severity, indented(f.What), since)
	if f.So != "" {
		fmt.Fprintf(w, "  so:   %s\n", indented(f.So))
	}
	if f.Mend != "" {
		fmt.Fprintf(w, "  mend: %s\n", indented(f.Mend))
	}
}
