package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/uninstall"
)

func (p *program) uninstallCommand() *cobra.Command {
	var file string
	var sql, yes bool
	cmd := &cobra.Command{
		Use:   "uninstall --config FILE",
		Short: "Remove replication slot, publication and schema",
		Long: "uninstall removes what rowhook has made: the replication slot, which would hold the log for ever, the publication, and the\n" +
			"schema with all subscriptions, events and deliveries. It needs only the config. It refuses while a rowhook reads the slot, and\n" +
			"removes nothing that is not rowhook's. It asks for the name of the database before it does anything.\n\n" +
			"--sql prints the statements instead, and connects to nothing.",
		Example: "  rowhook uninstall --config config.yaml\n  rowhook uninstall --config config.yaml --sql | psql \"$ADMIN_URL\"",
		Args:    none,
	}
	addConfigFlag(cmd, &file)
	cmd.Flags().BoolVar(&sql, "sql", false, "print SQL for psql, and do nothing")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if file == "" {
			return errNoConfig(cmd)
		}
		cfg, err := config.Load(file)
		if err != nil {
			return err
		}
		if sql {
			_, err := fmt.Fprint(p.stdout, uninstall.New(cfg).Script())
			return err
		}
		plan, err := uninstall.Look(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		if !plan.Any() {
			fmt.Fprintln(p.stdout, "there is nothing to remove")
			p.printLeft(plan)
			return nil
		}
		if !yes {
			for _, part := range plan.Parts {
				if part.There {
					fmt.Fprintf(p.stdout, "to be removed from %s: %s\n", part.Database, part.Name)
				}
			}
			fmt.Fprintf(p.stdout, "There is no way back. Type the name of the database, %s, to go on: ", plan.Parts[0].Database)
			line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
			if strings.TrimSpace(line) != plan.Parts[0].Database {
				fmt.Fprintln(p.stdout)
				return fmt.Errorf("nothing was removed: that is not the name of the database\n  hint: type it, or give --yes where nobody can")
			}
		}
		if err := plan.Remove(cmd.Context(), func(part uninstall.Part) { fmt.Fprintf(p.stdout, "removed: %s\n", part.Name) }); err != nil {
			return err
		}
		p.printLeft(plan)
		return nil
	}
	return cmd
}

// printLeft tells what is for a person to decide.
func (p *program) printLeft(plan *uninstall.Plan) {
	if len(plan.Left) == 0 {
		return
	}
	fmt.Fprintln(p.stdout, "replica identities are as they were. If they were changed for rowhook:")
	for _, s := range plan.Left {
		fmt.Fprintf(p.stdout, "  %s\n", s)
	}
}
