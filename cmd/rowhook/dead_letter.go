package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

func (p *program) deadLetterCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:     "dead-letter",
		Aliases: []string{"dead-letters"},
		Short:   "List, show, replay and discard changes that could not be mapped",
		Long: "A dead letter is a change that could not be made into an event. When its reason is mended, replay makes its event of\n" +
			"the row as it is then, and sends it. The commands talk to a running rowhook. The address and the token (an admin's)\n" +
			"come from --url and --token, or from ROWHOOK_URL and ROWHOOK_TOKEN.",
		Example: "  rowhook dead-letter list\n" +
			"  rowhook dead-letter replay --resource contact",
	}
	group(cmd)
	r.flags(cmd.PersistentFlags())
	completeOutput(cmd)
	cmd.AddCommand(p.listLettersCommand(&r), p.getLetterCommand(&r), p.replayLettersCommand(&r), p.discardLettersCommand(&r))
	return cmd
}

func (p *program) listLettersCommand(r *remote) *cobra.Command {
	var f client.DeadLetterFilter
	var all bool
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List the open ones, newest first", Args: none}
	cmd.Flags().StringVar(&f.Resource, "resource", "", "only those of this resource")
	cmd.Flags().StringVar(&f.Reason, "reason", "", "only those whose reason has this text")
	cmd.Flags().BoolVar(&all, "all", false, "closed ones too")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many at most; 0 is all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		if !all {
			f.State = client.DeadLetterOpen
		}
		found := []*client.DeadLetter{}
		more := false
		for l, err := range c.DeadLetters(cmd.Context(), f) {
			if err != nil {
				return answered(c, err)
			}
			if more = limit > 0 && len(found) == limit; more {
				break
			}
			found = append(found, l)
		}
		if more {
			fmt.Fprintf(p.stderr, "there are more: these are the newest %d, --limit 0 lists all\n", limit)
		}
		if r.output == "json" {
			return p.printJSON(found)
		}
		if len(found) == 0 {
			if f.State == client.DeadLetterOpen {
				fmt.Fprintln(p.stderr, "there are no open dead letters; --all lists closed ones too")
			} else {
				fmt.Fprintln(p.stderr, "there are no dead letters")
			}
			return nil
		}
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSTATE\tTYPE\tINSTANCE\tCOMMITTED\tREASON")
		for _, l := range found {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, stateOf(l), l.Type, plainText(l.Instance), l.CommittedAt.Format(time.RFC3339), l.Reason)
		}
		return w.Flush()
	}
	return cmd
}

// stateOf is the state in one word.
func stateOf(l *client.DeadLetter) string {
	switch {
	case l.ClosedReason != "":
		return l.ClosedReason
	case l.RequestedAt != nil:
		return "replaying"
	}
	return l.State
}

func (p *program) getLetterCommand(r *remote) *cobra.Command {
	return &cobra.Command{Use: "get ID", Short: "Show a dead letter", Args: letterIDs(1), ValidArgsFunction: r.completeLetters, RunE: func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		l, err := c.DeadLetter(cmd.Context(), args[0])
		if err != nil {
			return answered(c, err)
		}
		if r.output == "json" {
			return p.printJSON(l)
		}
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "id\t%s\nstate\t%s\nresource\t%s\ninstance\t%s\nop\t%s\ntype\t%s\nevent_id\t%s\nreason\t%s\ntries\t%d\ncommitted_at\t%s\n",
			l.ID, l.State, l.Resource, plainText(l.Instance), l.Op, l.Type, l.EventID, l.Reason, l.Tries, l.CommittedAt.Format(time.RFC3339))
		if l.RequestedAt != nil {
			fmt.Fprintf(w, "requested_at\t%s\n", l.RequestedAt.Format(time.RFC3339))
		}
		if l.ClosedAt != nil {
			fmt.Fprintf(w, "closed_at\t%s\nclosed_reason\t%s\n", l.ClosedAt.Format(time.RFC3339), l.ClosedReason)
		}
		if l.ClosedBy != "" {
			fmt.Fprintf(w, "closed_by\t%s\n", l.ClosedBy)
		}
		return w.Flush()
	}}
}

func (p *program) replayLettersCommand(r *remote) *cobra.Command {
	var want client.DeadLetterReplay
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "replay (ID … | --resource NAME | --reason TEXT | --all)",
		Short: "Make the events of open ones from their rows as they are now, and send them",

		ValidArgsFunction: r.completeLetters,
		Long: "replay makes the events after all, once what their reason says is mended: each from its row as it is now, with the id\n" +
			"and the position that it would have had. What a later event has told is closed as superseded. What fails again stays\n" +
			"open with its new reason. It waits for the outcome, and exits with 1 if something stays open.",
	}
	cmd.Flags().StringVar(&want.Resource, "resource", "", "those of this resource")
	cmd.Flags().StringVar(&want.Reason, "reason", "", "those whose reason has this text")
	cmd.Flags().BoolVar(&want.All, "all", false, "all")
	cmd.Flags().BoolVar(&want.DryRun, "dry-run", false, "only count them")
	cmd.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for the outcome; 0 is not at all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if want.IDs = args; len(args) == 0 && want.Resource == "" && want.Reason == "" && !want.All {
			return usage("it is not said which ones", "give ids, --resource, --reason or --all")
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		waits := wait > 0 && !want.DryRun
		var ids map[string]bool
		if waits {
			if ids, err = selected(cmd.Context(), c, want); err != nil {
				return answered(c, err)
			}
		}
		done, err := c.ReplayDeadLetters(cmd.Context(), want)
		if err != nil {
			return answered(c, err)
		}
		if r.output == "json" {
			if err := p.printJSON(done); err != nil {
				return err
			}
		} else {
			what := "to be replayed"
			if want.DryRun {
				what = "would be replayed"
			}
			fmt.Fprintf(p.stdout, "%s %s\n", count(done.Count, "dead letter"), what)
		}
		if !waits || done.Count == 0 {
			return nil
		}
		return p.awaitReplay(cmd.Context(), c, want.Resource, ids, wait)
	}
	return cmd
}

// selected are the ids of the open ones that are to be replayed.
func selected(ctx context.Context, c *client.Client, want client.DeadLetterReplay) (map[string]bool, error) {
	ids := map[string]bool{}
	for _, id := range want.IDs {
		ids[id] = true
	}
	if len(ids) > 0 {
		return ids, nil
	}
	for l, err := range c.DeadLetters(ctx, client.DeadLetterFilter{Resource: want.Resource, Reason: want.Reason, State: client.DeadLetterOpen}) {
		if err != nil {
			return nil, err
		}
		ids[l.ID] = true
	}
	return ids, nil
}

// awaitReplay waits until none of them is being replayed, and tells what stays open.
func (p *program) awaitReplay(ctx context.Context, c *client.Client, resource string, ids map[string]bool, wait time.Duration) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(wait); ; {
		open, pending := 0, 0
		var first *client.DeadLetter
		for l, err := range c.DeadLetters(ctx, client.DeadLetterFilter{Resource: resource, State: client.DeadLetterOpen}) {
			if err != nil {
				return answered(c, err)
			}
			if !ids[l.ID] {
				continue
			}
			if l.RequestedAt != nil {
				pending++
				break
			}
			if open++; first == nil {
				first = l
			}
		}
		switch {
		case pending == 0 && open == 0:
			fmt.Fprintln(p.stderr, "done: none of them is open")
			return nil
		case pending == 0:
			stay := "stays"
			if open > 1 {
				stay = "stay"
			}
			return fmt.Errorf("%s %s open, such as %s: %s\n  hint: mend it, reload the config, and replay again; or give it up: rowhook dead-letter discard ID", count(open, "dead letter"), stay, first.ID, first.Reason)
		case time.Now().After(deadline):
			return fmt.Errorf("they were not replayed within %s\n  hint: it goes on; is the replication streaming? see /readyz, and rowhook dead-letter list", wait)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (p *program) discardLettersCommand(r *remote) *cobra.Command {
	return &cobra.Command{Use: "discard ID …", Short: "Close dead letters whose events are not needed", Args: letterIDs(0), ValidArgsFunction: r.completeLetters,
		Long: "discard closes dead letters: their events are never sent. They stay listed as discarded, with who did it, until the\nretention is over.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			for _, id := range args {
				if err := c.DiscardDeadLetter(cmd.Context(), id); err != nil {
					return fmt.Errorf("%s: %w", id, answered(c, err))
				}
				fmt.Fprintln(p.stderr, "discarded", id)
			}
			return nil
		}}
}

// letterIDs takes n ids of dead letters, or one and more for 0.
func letterIDs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if n > 0 && len(args) != n || len(args) == 0 {
			return usage(cmd.CommandPath()+" needs the id of a dead letter", "rowhook dead-letter list shows them")
		}
		return nil
	}
}
