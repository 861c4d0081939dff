package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"

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
		log, err := logs.logger(p.stderr)
		if err != nil {
			return err
		}
		if file == "" {
			return errNoConfig(cmd)
		}
		ctx, release := untilSignal(cmd.Context(), p.stderr, os.Interrupt, syscall.SIGTERM)
		defer release()
		hangup := make(chan os.Signal, 1)
		signal.Notify(hangup, syscall.SIGHUP)
		defer signal.Stop(hangup)
		load := func() (*config.Config, error) {
			cfg, err := config.Load(file)
			if err != nil {
				return nil, err
			}
			if cfg.Proxy.Listen == "" {
				return nil, errors.New(file + " has no proxy block, so there is nothing to listen at\n  hint: add app: {url: http://127.0.0.1:3000} and proxy: {listen: \":8080\", identity: {path: /api/me, account: account.id}}")
			}
			if apiListen != "" {
				cfg.API.Listen = apiListen
			}
			return cfg, nil
		}
		cfg, err := load()
		if err != nil {
			return err
		}
		var mem memory
		mem.configured(cfg)
		a, err := app.New(cfg, app.Options{
			Log: log, Version: versionText(), ProxyAlone: true,
			OnReady: func(role string) { log.Info("ready", "role", role) },
		})
		if err != nil {
			return err
		}
		addr, err := a.Listen()
		if err != nil {
			return err
		}
		log.Info("starting", "version", versionText(), "config", file, "proxy", a.ProxyAddr().String(), "api", baseURL(addr, cfg.API.BasePath))
		running, ended := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { reloadOn(running, hangup, a, load, &mem) })
		defer wg.Wait()
		defer ended()
		return a.Run(ctx)
	}
	return cmd
}
