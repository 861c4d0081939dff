package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

// enableCommand enables one subscription, or all that rowhook has disabled.
func (p *program) enableCommand(r *remote) *cobra.Command {
	one := p.enableOneCommand(r)
	var want client.EnableFailed
	var failed bool
	var after, before string
	cmd := &cobra.Command{
		Use:   "enable (ID | --all-failed [--event NAME] [--target-host HOST] …)",
		Short: "Let a disabled subscription go on, or all that rowhook has disabled",
		Long: "enable lets a disabled subscription go on. With --all-failed it enables all that rowhook itself has disabled because their\n" +
			"targets took nothing: those that the filters select, or every one that the token may see. Those that somebody has disabled\n" +
			"stay as they are.",
		Example: "  rowhook subscription enable sub_s4gfrbe74abr2t6lqk6uias3i7\n" +
			"  rowhook subscription enable --all-failed --target-host hooks.example.com --dry-run",
		ValidArgsFunction: r.completeIDs,
		Args: func(cmd *cobra.Command, args []string) error {
			if !failed {
				return oneID(cmd, args)
			}
			return none(cmd, args)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&failed, "all-failed", false, "all that rowhook has disabled because their targets took nothing")
	f.StringVar(&want.Event, "event", "", "of these, those that get this event: contact.create")
	f.StringVar(&want.TargetHost, "target-host", "", "of these, those with a target at this host")
	f.StringVar(&want.Name, "name", "", "of these, those with this in their name")
	f.StringVar(&want.Account, "account", "", "of these, those of this customer; only with an admin's token")
	f.StringVar(&after, "disabled-after", "", "of these, those that were disabled then or later: 2026-11-22T04:00:00Z, or how long ago it was: 24h")
	f.StringVar(&before, "disabled-before", "", "of these, those that were disabled before")
	f.BoolVar(&want.DryRun, "dry-run", false, "only count them")
	_ = cmd.RegisterFlagCompletionFunc("event", r.completeEvents(false))
	filters := []string{"event", "target-host", "name", "account", "disabled-after", "disabled-before"}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		given := false
		for _, name := range filters {
			given = given || f.Changed(name)
		}
		if !failed {
			if given || want.DryRun {
				return usage("the filters and --dry-run go with --all-failed", "rowhook subscription enable --all-failed --dry-run")
			}
			return one.RunE(cmd, args)
		}
		want.All = !given
		for _, t := range []struct {
			name, text string
			to         **time.Time
		}{{"--disabled-after", after, &want.DisabledAfter}, {"--disabled-before", before, &want.DisabledBefore}} {
			at, err := timeOrAge(t.name, t.text, time.Now())
			if err != nil {
				return err
			}
			*t.to = at
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		done, err := c.EnableFailed(cmd.Context(), want)
		if err != nil {
			if done != nil && done.Enabled > 0 && !done.DryRun {
				fmt.Fprintf(p.stderr, "%s enabled before this:\n", count(done.Enabled, "subscription"))
			}
			return answered(c, err)
		}
		if r.output == "json" {
			return p.printJSON(done)
		}
		what := "enabled"
		if done.DryRun {
			what = "would be enabled"
		}
		fmt.Fprintf(p.stdout, "%s %s\n", count(done.Enabled, "subscription"), what)
		if done.Skipped > 0 {
			fmt.Fprintf(p.stderr, "%s left out: their leases are over\n", count(done.Skipped, "subscription"))
		}
		return nil
	}
	return cmd
}
