package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/config"
)

func (p *program) proxyCommand() *cobra.Command {
	var file, apiListen string
	var logs logFlags
	cmd := &cobra.Command{
		Use:   "proxy --config FILE",
		Short: "Run the reverse proxy alone",
		Long: "proxy stands before the application (app.url) at proxy.listen: the subscription API is answered here, all else is passed on.\n" +
			"It reads no changes and sends no hooks: rowhook run does, as a process of its own, started with --proxy=false where both\n" +
			"have the same config. So each is deployed without the other.\n\n" +
			"The application's requests are passed on whether the database is there or not. SIGINT and SIGTERM let them end, for 10s;\n" +
			"SIGHUP reads the config again, as with rowhook run.",
		Example: "  rowhook proxy --config config.yaml\n" +
			"  rowhook proxy --config config.yaml --api-listen 127.0.0.1:8478   # beside rowhook run on one machine",
		Args: none,
	}
	addConfigFlag(cmd, &file)
	cmd.Flags().StringVar(&apiListen, "api-listen", "", "where /readyz, /metrics and the API listen, instead of api.listen")
	logs.add(cmd, "info")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.serve(cmd, &logs, file, func(cfg *config.Config) error {
			if cfg.Proxy.Listen == "" {
				return errors.New(file + " has no proxy block, so there is nothing to listen at\n  hint: add app: {url: http://127.0.0.1:3000} and proxy: {listen: \":8080\", identity: {path: /api/me, account: account.id}}")
			}
			if apiListen != "" {
				cfg.API.Listen = apiListen
			}
			return nil
		}, app.Options{ProxyAlone: true})
	}
	return cmd
}
