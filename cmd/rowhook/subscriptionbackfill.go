package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

func (p *program) backfillCommand(r *remote) *cobra.Command {
	var want client.Backfill
	var since string
	var wait bool
	cmd := &cobra.Command{
		Use:   "backfill ID",
		Short: "Send the rows that are there to a subscription, as they are now",
		Long: "backfill sends each instance of the subscription's resources as it is now, as RESOURCE.create with \"backfill\": true, in its\n" +
			"place among the changes. --dry-run counts the rows. It is a job of rowhook's, which goes on when this command ends: see\n" +
			"rowhook job.",
		Example: "  rowhook subscription backfill sub_s4gfrbe74abr2t6lqk6uias3i7 --dry-run\n" +
			"  rowhook subscription backfill sub_s4gfrbe74abr2t6lqk6uias3i7 --resource contact --since 24h --rate 100 --wait",
		Args:              oneID,
		ValidArgsFunction: r.completeIDs,
	}
	f := cmd.Flags()
	f.StringSliceVar(&want.Resources, "resource", nil, "rows of these resources: contact,deal; all of the subscription's events if not given")
	f.StringVar(&since, "since", "", "rows that were changed last then or later, by a column such as updated_at: 2026-11-22T08:00:00Z, or how long ago: 24h")
	f.IntVar(&want.Rate, "rate", 0, "how many in a second at most; 0 is as many as the target takes")
	f.BoolVar(&want.DryRun, "dry-run", false, "only count the rows")
	f.BoolVar(&wait, "wait", false, "show how far it is, until all are queued to be sent")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if want.DryRun && wait {
			return usage("--dry-run and --wait are both given", "leave one out")
		}
		var err error
		if want.Since, err = timeOrAge("--since", since, time.Now()); err != nil {
			return err
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		if want.DryRun {
			n, err := c.CountBackfill(cmd.Context(), args[0], want)
			if err != nil {
				return answered(c, r.unknownID(cmd.Context(), c, args[0], err))
			}
			if r.output == "json" {
				return p.printJSON(n)
			}
			for _, t := range n.Resources {
				fmt.Fprintf(p.stdout, "%s: %s would be looked at\n", t.Resource, rowsOf(&t))
			}
			return nil
		}
		j, err := c.Backfill(cmd.Context(), args[0], want)
		if err != nil {
			return answered(c, r.unknownID(cmd.Context(), c, args[0], err))
		}
		if wait {
			fmt.Fprintf(p.stderr, "%s sends them\n", j.ID)
			return p.awaitJob(cmd.Context(), r, c, j)
		}
		if r.output == "json" {
			return p.printJSON(j)
		}
		fmt.Fprintf(p.stdout, "%s\n", j.ID)
		for _, t := range j.Resources {
			fmt.Fprintf(p.stderr, "%s: %s to look at\n", t.Resource, rowsOf(&t))
		}
		fmt.Fprintf(p.stderr, "rowhook job get %s shows how far it is\n", j.ID)
		return nil
	}
	return cmd
}

// rowsOf says how many rows there are.
func rowsOf(t *client.BackfillResource) string {
	switch {
	case t.Total == nil:
		return "it is not known how many rows"
	case t.Estimated:
		return "about " + count(int(*t.Total), "row")
	}
	return count(int(*t.Total), "row")
}

// queuedBy is how many events a job has queued.
func queuedBy(j *client.Job) int64 {
	if j.Kind != client.JobBackfill {
		return j.Done
	}
	var n int64
	for _, t := range j.Resources {
		n += t.Sent
	}
	return n
}
