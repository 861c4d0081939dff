package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

func (p *program) resumeCommand() *cobra.Command {
	var r remote
	var said client.Resume
	cmd := &cobra.Command{
		Use:   "resume [--accept-gap | --drained]",
		Short: "End a pause, and go on where replication is held up until you decide",
		Long: "resume ends what rowhook pause has begun. And it tells a running rowhook to go on where it waits for a decision: /readyz and\n" +
			"the log say what it waits for.\n\n" +
			"Where changes are lost by going on, it needs --accept-gap; every subscription that may miss some then gets a signed\n" +
			"rowhook.gap event with the window of time. Without it, nothing is ended then: neither the wait nor a pause.\n\n" +
			"After rowhook drain and a move or upgrade of Postgres, --drained says that nothing was committed in between: then\n" +
			"nothing is missing, and nobody is told of a gap.\n\n" +
			"The address and the token (an admin's) come from --url and --token, or\n" +
			"from ROWHOOK_URL and ROWHOOK_TOKEN.",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			done, err := c.ResumeAs(cmd.Context(), said)
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
	cmd.Flags().BoolVar(&said.AcceptGap, "accept-gap", false, "agree that changes are missing for ever, and tell the subscribers")
	cmd.Flags().BoolVar(&said.Drained, "drained", false, "say that nothing was committed since rowhook drain: the database was moved or upgraded")
	cmd.MarkFlagsMutuallyExclusive("accept-gap", "drained")
	return cmd
}

// resumed is what was done, in words.
func resumed(d *client.Resumed) string {
	if d.PausedSince != nil {
		over := "the pause since " + d.PausedSince.Format(time.RFC3339) + " is over: what waits is sent"
		if d.Incident == "" {
			return over
		}
		rest := *d
		rest.PausedSince = nil
		return resumed(&rest) + "\n" + over
	}
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
