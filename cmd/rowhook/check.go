package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/internal/check"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/finding"
	"github.com/rowhook/rowhook/internal/problem"
)

// errFound ends a command that has told what is wrong.
var errFound = errors.New("something is wrong, and was told")

func (p *program) checkCommand() *cobra.Command {
	var file, output string
	var sql, strict bool
	cmd := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Check the config and the database, and say what mends them",
		Long: "check looks at the config and at the database that it names, and tells all that is wrong at once: where, what follows\n" +
			"from it, and the line or the SQL that mends it. It changes nothing, and needs no rowhook to have run before.\n\n" +
			"--sql prints one script for whoever may run it: the role, its privileges, the schema, the publication, indexes, replica\n" +
			"identities. What no SQL mends goes to stderr.\n\n" +
			"It exits with 0 where there are no errors, and with 1 where there are; --sql with 1 where it does not mend them all.",
		Example: "  rowhook check --config config.yaml\n" +
			"  rowhook check --config config.yaml --sql > rowhook.sql\n" +
			"  rowhook check --config config.yaml --strict --output json     # in CI",
		Args: none,
	}
	addConfigFlag(cmd, &file)
	cmd.Flags().BoolVar(&sql, "sql", false, "print a script that mends what SQL can mend")
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with 1 for warnings too")
	addOutputFlag(cmd, &output)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if file == "" {
			return errNoConfig(cmd)
		}
		if err := checkOutput(output); err != nil {
			return err
		}
		if sql && output == outputJSON {
			return usage("--sql prints SQL, and --output json does not", "give one of them")
		}
		r, err := p.check(cmd, file)
		if err != nil {
			return err
		}
		switch {
		case sql:
			return p.script(r)
		case output == outputJSON:
			err = r.JSON(p.stdout)
		default:
			err = r.Text(p.stdout)
		}
		if err != nil {
			return err
		}
		if r.Count(finding.Error) > 0 || strict && r.Count(finding.Warning) > 0 {
			return errFound
		}
		return nil
	}
	return cmd
}

func (p *program) check(cmd *cobra.Command, file string) (*check.Report, error) {
	cfg, err := config.Load(file)
	var mistakes problem.List
	switch {
	case errors.As(err, &mistakes):
		return check.Mistakes(mistakes), nil
	case err != nil:
		return nil, err
	}
	return check.Run(cmd.Context(), cfg, check.Options{})
}

// script prints the script, and the errors that are not in it.
func (p *program) script(r *check.Report) error {
	if err := r.Script(p.stdout); err != nil {
		return err
	}
	left := r.Unscripted()
	for _, f := range left {
		fmt.Fprintf(p.stderr, "rowhook: the script does not mend %s: %s\n", f.Place, f.What)
		if f.Mend != "" {
			fmt.Fprintf(p.stderr, "  hint: %s\n", f.Mend)
		}
	}
	if len(left) > 0 {
		return errFound
	}
	return nil
}
