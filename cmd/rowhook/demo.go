package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/internal/demo"
)

func (p *program) demoCommand() *cobra.Command {
	o := demo.Options{Command: invocation(), Version: versionText()}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch hooks arrive: a throw-away Postgres, a sample application, a receiver",
		Long: "demo starts a Postgres in a temporary directory, makes the database of a small CRM, runs rowhook on it with a real\n" +
			"config file, subscribes a receiver, and changes rows as a live application would. Each hook is a line: when it came,\n" +
			"the event, the instance, the time from the commit, whether an independent library finds the signature good, the data.\n\n" +
			"Postgres is looked for on PATH (or in ROWHOOK_PG_BIN) and where systems keep it; if there is none, one is fetched.\n" +
			"When it ends, all of it is gone.",
		Example: "  rowhook demo\n" +
			"  rowhook demo --rate 20          # more traffic\n" +
			"  rowhook demo --once             # one create, update and delete; exits with 0 only if all three arrived\n" +
			"  rowhook demo --latency 1000     # measure: from commit to receipt, one row at a time",
		Args: none,
	}
	cmd.Flags().BoolVar(&o.Once, "once", false, "one create, update and delete, then end")
	cmd.Flags().Float64Var(&o.Rate, "rate", 2, "transactions per second")
	cmd.Flags().IntVar(&o.Latency, "latency", 0, "make that many single-row changes, each after the hook of the one before, print p50 to max, then end")
	cmd.MarkFlagsMutuallyExclusive("once", "latency")
	var logs logFlags
	logs.add(cmd, "warn")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case !(o.Rate > 0 && o.Rate <= 1000):
			return usage(fmt.Sprintf("--rate %v is out of range", o.Rate), "more than 0, at most 1000")
		case o.Latency < 0 || cmd.Flags().Changed("latency") && o.Latency == 0:
			return usage(fmt.Sprintf("--latency %d is out of range", o.Latency), "at least 1; 1000 takes some seconds")
		}
		log, err := logs.logger(p.stderr)
		if err != nil {
			return err
		}
		ctx, out, release := p.whileShown(cmd.Context())
		defer release()
		o.Out, o.Color, o.Log = out, colored(p.stdout), log
		return demo.Run(ctx, o)
	}
	return cmd
}
