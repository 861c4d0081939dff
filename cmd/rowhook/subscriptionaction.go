package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

func (p *program) enableOneCommand(r *remote) *cobra.Command {
	return p.actionCommand(r, "enable ID", "Let a disabled subscription go on", func(cmd *cobra.Command, c *client.Client, id string) error {
		s, err := c.Enable(cmd.Context(), id)
		return p.acted(r, c, s, err, func() {
			switch s.State {
			case "shadow":
				fmt.Fprintln(p.stderr, "enabled: it is a shadow again, to which nothing is sent")
				return
			case "pending":
				fmt.Fprintln(p.stderr, "enabled: it is pending until its target agrees, which is asked now")
				return
			}
			fmt.Fprintln(p.stderr, "enabled: it gets what is committed from now on, after what was kept for it")
		})
	})
}

func (p *program) disableCommand(r *remote) *cobra.Command {
	var reason string
	cmd := p.actionCommand(r, "disable ID", "Stop a subscription until it is enabled", func(cmd *cobra.Command, c *client.Client, id string) error {
		s, err := c.Disable(cmd.Context(), id, reason)
		return p.acted(r, c, s, err, func() { fmt.Fprintln(p.stderr, "disabled: events that are committed meanwhile are not for it") })
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for people")
	return cmd
}

func (p *program) rotateSecretCommand(r *remote) *cobra.Command {
	var keep time.Duration
	var chosen string
	cmd := p.actionCommand(r, "rotate-secret ID", "Give a subscription a new secret, shown this once", func(cmd *cobra.Command, c *client.Client, id string) error {
		secret, err := secretFlag("--secret", chosen)
		if err != nil {
			return err
		}
		rotation := client.Rotation{Secret: secret}
		if cmd.Flags().Changed("keep-old") {
			rotation.KeepOld = keep.String()
		}
		s, err := c.RotateSecret(cmd.Context(), id, rotation)
		return p.acted(r, c, s, err, func() {
			fmt.Fprintf(p.stdout, "secret  %s\n", s.Secret)
			fmt.Fprintf(p.stderr, "the old one signs beside it for %s\n", strings.NewReplacer("m0s", "m", "h0m0s", "h").Replace(keep.String()))
		})
	})
	cmd.Flags().StringVar(&chosen, "secret", "", "the new secret (whsec_…), or @file with it; made if it is not given")
	cmd.Flags().DurationVar(&keep, "keep-old", 24*time.Hour, "how long the old secret goes on signing: 0s to 720h")
	return cmd
}

func (p *program) pingCommand(r *remote) *cobra.Command {
	return p.actionCommand(r, "ping ID", "Send a message to a subscription's target at once, and tell what came of it", func(cmd *cobra.Command, c *client.Client, id string) error {
		pinged, err := c.Ping(cmd.Context(), id)
		if err != nil {
			return answered(c, err)
		}
		if r.output == "json" {
			if err := p.printJSON(pinged); err != nil {
				return err
			}
		} else if pinged.Delivered {
			fmt.Fprintf(p.stdout, "delivered: %d in %g ms\n", *pinged.Status, pinged.DurationMS)
		}
		if pinged.Delivered {
			return nil
		}
		said := pinged.Reason
		if pinged.Status != nil {
			said += fmt.Sprintf(" %d", *pinged.Status)
		}
		if pinged.Detail != "" {
			said += ": " + pinged.Detail
		}
		return fmt.Errorf("not delivered after %g ms: %s", pinged.DurationMS, said)
	})
}

func (p *program) actionCommand(r *remote, use, short string, do func(*cobra.Command, *client.Client, string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: oneID, ValidArgsFunction: r.completeIDs, RunE: func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		return r.unknownID(cmd.Context(), c, args[0], do(cmd, c, args[0]))
	}}
}

// acted shows what became of a subscription.
func (p *program) acted(r *remote, c *client.Client, s *client.Subscription, err error, told func()) error {
	switch {
	case err != nil:
		return answered(c, err)
	case r.output == "json":
		return p.printJSON(s)
	}
	told()
	return nil
}
