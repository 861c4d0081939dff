package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/internal/openapi"
	"github.com/rowhook/rowhook/internal/scaffold"
	"github.com/rowhook/rowhook/internal/secret"
)

func (p *program) initCommand() *cobra.Command {
	var o scaffold.Options
	var url, api, output string
	cmd := &cobra.Command{
		Use:   "init --database-url URL",
		Short: "Print a config for a database of yours, to be edited",
		Long: "init reads the schema of a database and prints a config that fits it: a resource for each table, with its columns in a\n" +
			"representation, the account that its rows belong to, soft deletes and counters by their names, relations by foreign keys.\n" +
			"What is guessed says so, and what may not be wanted stands there behind a #. Columns that look secret are left out.\n\n" +
			"With --openapi, representations have the shape that the API's own description gives the answer to GET /contacts/{id}, and\n" +
			"what no column is for is marked.\n\n" +
			"It changes nothing. The role needs to see the tables, and no more.",
		Example: "  rowhook init --database-url \"$DATABASE_URL\" > config.yaml\n" +
			"  rowhook init --database-url \"$DATABASE_URL\" --openapi openapi.yaml --output config.yaml\n" +
			"  rowhook init --database-url \"$DATABASE_URL\" --schema public,crm --table contacts,crm.deals",
		Args: none,
	}
	cmd.Flags().StringVar(&url, "database-url", "", "the database; required")
	cmd.Flags().StringVar(&api, "openapi", "", "the API's OpenAPI document (3.0 or 3.1, JSON or YAML)")
	cmd.Flags().StringSliceVar(&o.Schemas, "schema", nil, "only tables of these schemas")
	cmd.Flags().StringSliceVar(&o.Tables, "table", nil, "only these tables, also if they are a framework's")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write it to this new file instead of stdout")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if url == "" {
			return usage("--database-url is missing", "rowhook init --database-url postgres://user:password@127.0.0.1:5432/app")
		}
		o.URL = secret.String(url)
		if api != "" {
			doc, err := readAPI(api)
			if err != nil {
				return err
			}
			o.API, o.File = doc, api
		}
		if output != "" {
			// Said before the work, and again where the file is made.
			if _, err := os.Lstat(output); err == nil {
				return errThere(output)
			}
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), initTimeout)
		defer cancel()
		text, err := scaffold.Write(ctx, o)
		if err != nil {
			return inFlags(err)
		}
		if output == "" {
			_, err = p.stdout.Write(text)
			return err
		}
		if err := writeNew(output, text); err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "wrote %s: read it, edit it, and go on with the steps at its top\n", output)
		return nil
	}
	return cmd
}

// initTimeout bounds what asking the database may take.
const initTimeout = 2 * time.Minute

// readAPI reads the API's description.
func readAPI(file string) (*openapi.Document, error) {
	info, err := os.Stat(file)
	if err == nil && info.Size() > openapi.MaxSize {
		return nil, fmt.Errorf("--openapi %s has %d MiB, and %d are taken\n  hint: cut it to the paths of your resources", file, info.Size()>>20, openapi.MaxSize>>20)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--openapi: %w", err)
	}
	doc, err := openapi.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("--openapi %s: %w", file, err)
	}
	return doc, nil
}

func errThere(file string) error {
	return fmt.Errorf("%s is there already\n  hint: give another name, or move it away: it may have been edited", file)
}

// writeNew writes a file that was not there.
func writeNew(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return errThere(file)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
