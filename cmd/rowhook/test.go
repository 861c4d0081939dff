package main

import (
	"context"
	"fmt"
	"maps"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/cdc/cdctest"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/mappingtest"
	"github.com/rowhook/rowhook/mapping"
)

func (p *program) testCommand() *cobra.Command {
	var file, output string
	var update, dump bool
	cmd := &cobra.Command{
		Use:   "test DIR",
		Short: "Test the mapping: rows in, events out, without a database",
		Long: "test runs the cases of a directory, and of those below it: YAML files that say which rows change, and which events are\n" +
			"to come of it. It needs no database and no network, and of the config no more than json and resources. What several\n" +
			"changes of a transaction come to, which events there are and what they hold is found out as run does it.\n\n" +
			"--update writes what comes out into the cases that fail, or do not say yet what they expect. Read it before you keep it.\n\n" +
			"It exits with 0 if all is as expected, else with 1.",
		Example: "  rowhook test tests\n" +
			"  rowhook test tests --update\n" +
			"  rowhook test --dump-tables --config config.yaml > tests/tables.yaml     # from the database, once",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case dump && len(args) > 0:
				return usage(fmt.Sprintf("--dump-tables takes no directory, and got %q", args[0]), "rowhook test --dump-tables --config config.yaml > tests/tables.yaml")
			case !dump && len(args) != 1:
				return usage(fmt.Sprintf("test needs a directory, and got %d", len(args)), "rowhook test tests")
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "the config file of cases that name none; config.yaml beside DIR if not given")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	cmd.Flags().BoolVar(&update, "update", false, "write what comes out into the cases that fail")
	cmd.Flags().BoolVar(&dump, "dump-tables", false, "print the config's tables, as they are in its database, for tables.yaml")
	addOutputFlag(cmd, &output)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(output); err != nil {
			return err
		}
		if dump {
			if file == "" {
				return errNoConfig(cmd)
			}
			return p.dumpTables(cmd.Context(), file)
		}
		return p.test(args[0], file, output, update)
	}
	return cmd
}

func (p *program) test(dir, file, output string, update bool) error {
	cases, err := mappingtest.Find(dir, file)
	if err != nil {
		return err
	}
	outcomes := runCases(cases)
	if update {
		n, err := mappingtest.Update(outcomes)
		if err != nil {
			return err
		}
		if n > 0 {
			fmt.Fprintf(p.stderr, "written: what %d of the cases expect\n", n)
			if cases, err = mappingtest.Find(dir, file); err != nil {
				return err
			}
			outcomes = runCases(cases)
		}
	}
	if output == outputJSON {
		err = mappingtest.JSON(p.stdout, outcomes)
	} else {
		err = mappingtest.Text(p.stdout, outcomes)
	}
	if err == nil && mappingtest.Failed(outcomes) > 0 {
		err = errFound
	}
	return err
}

func runCases(cases []*mappingtest.Case) []*mappingtest.Outcome {
	outcomes := make([]*mappingtest.Outcome, len(cases))
	for i, c := range cases {
		outcomes[i] = c.Run()
	}
	return outcomes
}

// dumpTables prints the tables of the config as cases describe them.
func (p *program) dumpTables(ctx context.Context, file string) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	def, problems := mapping.Parse(cfg.Mapping)
	if err := problems.Err(); err != nil {
		return err
	}
	conn, err := cdc.Connect(ctx, cfg.Database.URL, map[string]string{
		"application_name": "rowhook test", "default_transaction_read_only": "on", "statement_timeout": "30s"})
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tables, err := cdc.LoadTables(ctx, conn, def.Tables())
	if err != nil {
		return fmt.Errorf("read the tables' definitions: %w", err)
	}
	if names := def.RelatedTables(); len(names) > 0 {
		related, err := cdc.RelatedTables(ctx, cfg.Database.ReadURL, names, "")
		if err != nil {
			return err
		}
		maps.Copy(related, tables)
		tables = related
	}
	if err := cdc.LoadLabels(ctx, conn, tables); err != nil {
		return fmt.Errorf("read the labels of enums: %w", err)
	}
	text, err := cdctest.Describe(tables)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "# Made by: rowhook test --dump-tables --config %s\n%s", file, text)
	return err
}
