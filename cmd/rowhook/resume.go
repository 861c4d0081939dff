package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

func (p *program) resumeCommand() *cobra.Command {
	var r remote
	var accept bool
	cmd := &cobra.Command{
		Use:   "resume [--accept-gap]",
		Short: "Go on where replication is held up until you decide",
		Long: "resume tells a running rowhook to go on where it waits for a decision: /readyz and the log say what it waits for.\n" +
			"Where changes are lost by going on, it needs --accept-gap; every subscription that may miss some then gets a signed\n" +
			"rowhook.gap event with the window of time. The address and the token (an admin's) come from --url and --token, or\n" +
			"from ROWHOOK_URL and ROWHOOK_TOKEN.",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			done, err := c.Resume(cmd.Context(), accept)
			if err != nil {
				return answered(c, err)
			}
			if r.output == "json" {
				return p.printJSON(done)
			}
			fmt.Fprintln(p.stdout, resumed(done))
			return nil
		},
	}
	r.flags(cmd.Flags())
	completeOutput(cmd)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.Flags().BoolVar(&accept, "accept-gap", false, "agree that changes are missing for ever, and tell the subscribers")
	return cmd
}

// resumed is what was done, in words.
func resumed(d *client.Resumed) string {
	if !d.Gap {
		return fmt.Sprintf("confirmed (%s): replication goes on, nothing is lost", d.Incident)
	}
	window := "up to " + d.To.Format(time.RFC3339)
	if d.From != nil {
		window = "between " + d.From.Format(time.RFC3339) + " and " + d.To.Format(time.RFC3339)
	}
	return fmt.Sprintf("gap accepted (%s): changes committed %s may be missing; replication goes on\nrowhook.gap is sent to %d subscriptions",
		d.Incident, window, d.Told)
}
