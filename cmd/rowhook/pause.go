package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

func (p *program) pauseCommand() *cobra.Command {
	var r remote
	var reason string
	cmd := &cobra.Command{
		Use:   "pause [--reason TEXT]",
		Short: "Send nothing until rowhook resume",
		Long: "pause lets a running rowhook send nothing, to no target: for when what it sends is wrong, or would do harm. Requests under way\n" +
			"end. What is committed meanwhile is read and waits in the store, so that no WAL is held back; the store grows with it. It holds\n" +
			"for all processes that share the store, also after restarts, until rowhook resume. Customers do not see it. A ping is still\n" +
			"sent: whoever asks for it waits for its answer.\n\n" +
			"The address and the token (an admin's) come from --url and --token, or from ROWHOOK_URL and ROWHOOK_TOKEN.",
		Example: "  rowhook pause --reason 'the mapping of deal is wrong'\n  rowhook resume",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			done, err := c.Pause(cmd.Context(), reason)
			if err != nil {
				return answered(c, err)
			}
			if r.output == "json" {
				return p.printJSON(done)
			}
			fmt.Fprintln(p.stdout, pausedText(done))
			return nil
		},
	}
	r.flags(cmd.Flags())
	completeOutput(cmd)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.Flags().StringVar(&reason, "reason", "", "why, in your words: shown in /readyz and in the log")
	return cmd
}

// pausedText is what was done, in words.
func pausedText(d *client.Pause) string {
	text := "paused since " + d.Since.Format(time.RFC3339)
	switch {
	case d.UnderWay == nil:
		return text + ": the process that sends is another one, and stops within a few seconds"
	case *d.UnderWay > 0:
		return fmt.Sprintf("%s: nothing is begun any more; %d requests are under way and end by themselves", text, *d.UnderWay)
	}
	return fmt.Sprintf("%s: nothing is sent; %s", text, waitingText(*d.Waiting))
}

// waitingText is how many deliveries wait, in words.
func waitingText(n int) string {
	if n == 1 {
		return "1 delivery waits in the store"
	}
	return fmt.Sprintf("%d deliveries wait in the store", n)
}
