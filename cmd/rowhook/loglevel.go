package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

func (p *program) logLevelCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "log-level [debug|info|warn|error]",
		Short: "Show or set from which level on a running rowhook logs",
		Long: "log-level sets from which level on a running rowhook logs, without a restart; without a level it shows it. debug tells every\n" +
			"attempt and request. It holds for the process that answers, until that ends: not for a standby, or a proxy beside it.\n\n" +
			"The address and the token (an admin's) come from --url and --token, or from ROWHOOK_URL and ROWHOOK_TOKEN.",
		Example:   "  rowhook log-level debug\n  rowhook log-level info",
		ValidArgs: client.LogLevels(),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && !slices.Contains(client.LogLevels(), args[0]) {
				return usage(fmt.Sprintf("%q is no log level", strings.Join(args, " ")), "give one of "+strings.Join(client.LogLevels(), ", ")+", or none to see which it is")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			var l *client.LogLevel
			if len(args) == 0 {
				l, err = c.LogLevel(cmd.Context())
			} else {
				l, err = c.SetLogLevel(cmd.Context(), args[0])
			}
			if err != nil {
				return answered(c, err)
			}
			if r.output == "json" {
				return p.printJSON(l)
			}
			fmt.Fprintln(p.stdout, l.Level)
			return nil
		},
	}
	r.flags(cmd.Flags())
	completeOutput(cmd)
	return cmd
}
