package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

// replayStates are the values of --state.
var replayStates = []string{client.ReplayFailed, client.ReplayDelivered, client.ReplayDropped, client.ReplayMissed, client.ReplayAll}

func (p *program) replayCommand(r *remote) *cobra.Command {
	var want client.Replay
	var from, to string
	var wait bool
	cmd := &cobra.Command{
		Use:   "replay ID (--from TIME | --from-position POSITION | --event-id ID,…)",
		Short: "Send events again that were for a subscription: what has failed, or all",
		Long: "replay sends events again that were for a subscription, marked with webhook-replay: 1. They are those that all flags\n" +
			"together select; without --state those that have failed for good. --dry-run counts them. What is sent again is a job of\n" +
			"rowhook's, which goes on when this command ends: see rowhook job.",
		Example: "  rowhook subscription replay sub_s4gfrbe74abr2t6lqk6uias3i7 --from 2026-11-22T08:00:00Z --to 2026-11-22T09:00:00Z --dry-run\n" +
			"  rowhook subscription replay sub_s4gfrbe74abr2t6lqk6uias3i7 --from 2h --state all --rate 50 --wait",
		Args:              oneID,
		ValidArgsFunction: r.completeIDs,
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "what was committed then or later: 2026-11-22T08:00:00Z, or how long ago: 2h")
	f.StringVar(&to, "to", "", "what was committed by then, in the same way; now if not given")
	f.StringVar(&want.FromPosition, "from-position", "", "instead of --from: what has this position or a later one")
	f.StringVar(&want.ToPosition, "to-position", "", "instead of --to: what has this position or an earlier one")
	f.StringSliceVar(&want.EventIDs, "event-id", nil, "events with these ids, which requests have as webhook-id")
	f.StringSliceVar(&want.Events, "event", nil, "events of these types: contact.create,deal.*")
	f.StringVar(&want.ResourceID, "resource-id", "", "events of this instance")
	f.StringVar(&want.State, "state", client.ReplayFailed, "what has become of them: failed, delivered, dropped, missed (failed or dropped) or all")
	f.IntVar(&want.Rate, "rate", 0, "how many in a second at most; 0 is as many as the target takes")
	f.BoolVar(&want.DryRun, "dry-run", false, "only count them")
	f.BoolVar(&wait, "wait", false, "show how far it is, until all are queued to be sent")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(replayStates, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("event", r.completeEvents(true))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if from == "" && want.FromPosition == "" && len(want.EventIDs) == 0 {
			return usage("it is not said which ones", "give --from, --from-position or --event-id")
		}
		if want.DryRun && wait {
			return usage("--dry-run and --wait are both given", "leave one out")
		}
		for _, t := range []struct {
			flag, text string
			to         **time.Time
		}{{"--from", from, &want.From}, {"--to", to, &want.To}} {
			at, err := timeOrAge(t.flag, t.text, time.Now())
			if err != nil {
				return err
			}
			*t.to = at
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		if want.DryRun {
			n, err := c.CountReplay(cmd.Context(), args[0], want)
			if err != nil {
				return answered(c, r.unknownID(cmd.Context(), c, args[0], err))
			}
			if r.output == "json" {
				return p.printJSON(n)
			}
			least := ""
			if n.AtLeast {
				least = "at least "
			}
			fmt.Fprintf(p.stdout, "%s%s would be sent again\n", least, count(int(n.Total), "event"))
			return nil
		}
		j, err := c.Replay(cmd.Context(), args[0], want)
		if err != nil {
			return answered(c, r.unknownID(cmd.Context(), c, args[0], err))
		}
		if wait {
			fmt.Fprintf(p.stderr, "%s sends them again\n", j.ID)
			return p.awaitJob(cmd.Context(), r, c, j)
		}
		if r.output == "json" {
			return p.printJSON(j)
		}
		fmt.Fprintf(p.stdout, "%s\n", j.ID)
		fmt.Fprintf(p.stderr, "%s: rowhook job get %s shows how far it is\n", toDo(j), j.ID)
		return nil
	}
	return cmd
}

// toDo says what a job is to do.
func toDo(j *client.Job) string {
	if j.Total == nil {
		return "events are sent again, too many to count at once"
	}
	be := "are"
	if *j.Total == 1 {
		be = "is"
	}
	return fmt.Sprintf("%s %s sent again", count(int(*j.Total), "event"), be)
}

// timeOrAge reads a time, or how long ago it was; nil is that of no text.
func timeOrAge(flag, text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		at := now.Add(-age).UTC()
		return &at, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, usage(fmt.Sprintf("%s %q is no time", flag, text), "give one such as 2026-11-22T08:00:00Z, or how long ago it was: 2h")
	}
	return &at, nil
}
