package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/internal/dev"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/internal/secret"
)

func (p *program) devCommand() *cobra.Command {
	o := dev.Options{Version: versionText()}
	var url string
	cmd := &cobra.Command{
		Use:   "dev --database-url URL",
		Short: "Try it on a database of yours: no config file, nothing left behind",
		Long: "dev makes a resource of every table that has a primary key, named by its singular: contacts gives contact.create,\n" +
			"contact.update and contact.delete. It prints the hooks that these make, the API's address and a token to subscribe\n" +
			"receivers of your own, also http ones on this machine or in private networks.\n\n" +
			"Tables of known frameworks and columns that look secret are left out; both are named at start. It listens on\n" +
			"loopback only. In the database it makes a temporary slot, and a publication and a schema of one random name, which\n" +
			"it removes at its end. If it is killed, the next dev on that database removes them.\n\n" +
			"The server needs wal_level = logical; the role needs REPLICATION, CREATE on the database, and to own the tables.",
		Example: "  rowhook dev --database-url postgres://me:secret@127.0.0.1:5432/app\n" +
			"  rowhook dev --database-url \"$DATABASE_URL\" --tables contacts,crm.deals",
		Args: none,
	}
	cmd.Flags().StringVar(&url, "database-url", "", "the database: direct, not through a pooler; required")
	cmd.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:8477", "address of the API, on loopback")
	cmd.Flags().StringSliceVar(&o.Tables, "tables", nil, "only these tables, also if they are a framework's")
	cmd.Flags().BoolVar(&o.Print, "print", true, "print every hook; --print=false does not")
	var logs logFlags
	logs.add(cmd, "warn")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if url == "" {
			return usage("--database-url is missing", "rowhook dev --database-url postgres://user:password@127.0.0.1:5432/app")
		}
		if err := dev.CheckListen(o.Listen); err != nil {
			return usage("--listen "+err.Error(), "dev is for this machine alone: 127.0.0.1:8477; rowhook run listens anywhere")
		}
		log, err := logs.logger(p.stderr)
		if err != nil {
			return err
		}
		ctx, out, release := p.whileShown(cmd.Context())
		defer release()
		o.URL, o.Out, o.Color, o.Log = secret.String(url), out, colored(p.stdout), log
		return inFlags(dev.Run(ctx, o))
	}
	return cmd
}

// inFlags says what other packages know as a key of the config by the name of the flag.
func inFlags(err error) error {
	var list problem.List
	if err == nil || errors.As(err, &list) {
		return err
	}
	if all := joined(err); len(all) > 0 {
		told := make([]error, len(all))
		for i, e := range all {
			told[i] = inFlags(e)
		}
		return errors.Join(told...)
	}
	return errors.New(strings.NewReplacer("mend it in database.url", "mend it in --database-url", "mend database.url", "mend --database-url",
		"database.url, or", "--database-url, or", "database.url", "--database-url").Replace(err.Error()))
}
