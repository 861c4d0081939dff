package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

func (p *program) heldCommand(r *remote) *cobra.Command {
	var limit int
	cmd := &cobra.Command{Use: "held ID", Short: "List the instances whose deliveries wait, soonest attempt first", Args: oneID, ValidArgsFunction: r.completeIDs,
		Long: "held lists the instances of which deliveries of the subscription are stored to be sent: how many wait, until when, and\n" +
			"what the last attempt of the oldest failed on. The events of an instance are sent in order, so the others wait for that one.",
		Example: "  rowhook subscription held sub_s4gfrbe74abr2t6lqk6uias3i7"}
	cmd.Flags().IntVar(&limit, "limit", 100, "how many at most; 0 is all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		found, more := []*client.HeldKey{}, false
		for k, err := range c.Held(cmd.Context(), args[0]) {
			if err != nil {
				return r.unknownID(cmd.Context(), c, args[0], answered(c, err))
			}
			if more = limit > 0 && len(found) == limit; more {
				break
			}
			found = append(found, k)
		}
		if more {
			fmt.Fprintf(p.stderr, "there are more: these are the first %d, --limit 0 lists all\n", limit)
		}
		if r.output == outputJSON {
			return p.printJSON(found)
		}
		if len(found) == 0 {
			fmt.Fprintln(p.stderr, "no delivery waits")
			return nil
		}
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "INSTANCE\tWAITING\tNEXT ATTEMPT\tATTEMPTS\tREASON\tOLDEST")
		for _, k := range found {
			instance, waiting, next := k.Resource, fmt.Sprint(k.Waiting), ""
			if k.ResourceID != nil {
				instance = k.Resource + " " + plainText(*k.ResourceID)
			}
			if k.AtLeast {
				waiting += "+"
			}
			if k.NextAttempt != nil {
				next = k.NextAttempt.Format(time.RFC3339)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", instance, waiting, next, k.Oldest.AttemptCount, k.Oldest.RetryReason, k.Oldest.ID)
		}
		return w.Flush()
	}
	return cmd
}
