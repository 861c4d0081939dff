package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

// drainStep is how long one request of drain may take.
const drainStep = 20 * time.Second

func (p *program) drainCommand() *cobra.Command {
	var r remote
	var until string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "drain [--until-lsn LSN] [--timeout DURATION]",
		Short: "Wait until everything that is committed is delivered or stored",
		Long: "drain waits until everything that was committed before it, or up to --until-lsn, is delivered or durably stored, and the\n" +
			"replication slot has confirmed it. Then nothing of it is in the log alone, and the server can be switched over or upgraded.\n" +
			"It holds up nothing: stop the writes of the application first, so that nothing comes after it.\n\n" +
			"It exits with 1 where the time is not enough, and says what is in the way. The address and the token (an admin's) come from\n" +
			"--url and --token, or from ROWHOOK_URL and ROWHOOK_TOKEN.",
		Example: "  rowhook drain\n  rowhook drain --until-lsn \"$(psql -Atc 'SELECT pg_current_wal_lsn()')\" --timeout 30s",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case until != "" && !client.IsLSN(until):
				return usage(fmt.Sprintf("--until-lsn %q is not a position of the log", until), "give one such as 0/16B3748, from SELECT pg_current_wal_lsn()")
			case timeout < 0:
				return usage(fmt.Sprintf("--timeout %s is less than nothing", timeout), "")
			}
			c, err := r.client()
			if err != nil {
				return err
			}
			var d *client.Drained
			for deadline := time.Now().Add(timeout); ; until = d.UntilLSN {
				step := max(min(drainStep, time.Until(deadline)), 0).Round(time.Millisecond)
				if d, err = c.Drain(cmd.Context(), client.Drain{UntilLSN: until, Wait: step.String()}); err != nil {
					return answered(c, err)
				}
				if d.Drained || !time.Now().Before(deadline) {
					break
				}
			}
			if r.output == "json" {
				if err := p.printJSON(d); err != nil {
					return err
				}
			} else if d.Drained {
				fmt.Fprintln(p.stdout, drainedText(d))
			}
			if !d.Drained {
				return fmt.Errorf("not drained in %s: %s\n  hint: try again, or with a longer --timeout", timeout, d.Reason)
			}
			return nil
		},
	}
	r.flags(cmd.Flags())
	completeOutput(cmd)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.Flags().StringVar(&until, "until-lsn", "", "up to this position of the log; without it, up to now")
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait")
	return cmd
}

// drainedText is what was reached, in words.
func drainedText(d *client.Drained) string {
	text := fmt.Sprintf("drained up to %s; the slot has confirmed %s; %s", d.UntilLSN, d.ConfirmedLSN, waitingText(d.Waiting))
	if d.Paused {
		text += ", until rowhook resume"
	}
	return text
}
