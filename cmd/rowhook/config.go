package main

import (
	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/internal/config"
)

func (p *program) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "About the config file"}
	group(cmd)
	cmd.AddCommand(&cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the config file, for editors",
		Example: "  rowhook config schema > rowhook.schema.json\n" +
			"  # then, as the first line of config.yaml:\n" +
			"  # yaml-language-server: $schema=rowhook.schema.json",
		Args: none,
		RunE: func(*cobra.Command, []string) error {
			_, err := p.stdout.Write(config.Schema())
			return err
		},
	})
	return cmd
}
