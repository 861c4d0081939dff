package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/console"
	"github.com/rowhook/rowhook/internal/tracing"
)

func (p *program) runCommand() *cobra.Command {
	var file string
	var logs logFlags
	var withProxy bool
	cmd := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Run the sidecar",
		Long: "run reads the database's changes and sends the hooks until it is stopped by SIGINT or SIGTERM: then it lets requests\n" +
			"under way end, writes down what is left, and acknowledges. A second signal ends it at once; nothing is lost, but\n" +
			"hooks may be sent twice.\n\n" +
			"SIGHUP reads the config again: whole, or not at all. Nothing that runs is disturbed; what is wrong is logged, and the\n" +
			"config before goes on. SIGUSR1 switches the log to debug, and the next one back.\n\n" +
			"It logs to stderr: what it found and made, then ready. A database that is away is waited for; what only a person can\n" +
			"mend (a password, a privilege, a setting, the config) is told, and it exits with 1.",
		Example: "  rowhook run --config config.yaml",
		Args:    none,
	}
	addConfigFlag(cmd, &file)
	cmd.Flags().BoolVar(&withProxy, "proxy", true, "serve the config's proxy too, if it has one; =false beside rowhook proxy")
	logs.add(cmd, "info")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.serve(cmd, &logs, file, func(cfg *config.Config) error {
			if !withProxy {
				cfg.Proxy = config.Proxy{}
			}
			return nil
		}, app.Options{})
	}
	return cmd
}

// serve runs what the config says until a signal ends it, and reads the config again at SIGHUP. fit makes the config that of the
// command, or refuses it.
func (p *program) serve(cmd *cobra.Command, logs *logFlags, file string, fit func(*config.Config) error, o app.Options) error {
	log, err := logs.logger(p.stderr)
	if err != nil {
		return err
	}
	takeStandardLog(log)
	if file == "" {
		return errNoConfig(cmd)
	}
	ctx, release := untilSignal(cmd.Context(), p.stderr, os.Interrupt, syscall.SIGTERM)
	defer release()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	toggle := make(chan os.Signal, 1)
	if len(debugSignals) > 0 { // Notify without a signal is all of them
		signal.Notify(toggle, debugSignals...)
		defer signal.Stop(toggle)
	}
	load := func() (*config.Config, error) {
		cfg, err := config.Load(file)
		if err == nil {
			err = fit(cfg)
		}
		return cfg, err
	}
	cfg, err := load()
	if err != nil {
		return err
	}
	var mem memory
	mem.configured(cfg)
	var base, pages string
	o.LogLevel = &logs.now
	o.Log, o.Version, o.OnSubscriptions = log, versionText(), mem.subscribed
	tracer, err := tracing.New(ctx, versionText(), os.Getenv, log)
	if err != nil {
		return err
	}
	if tracer != nil {
		o.Trace = tracer.Attempt
		log.Info("traces are made of deliveries, as the OTEL_ variables say")
		defer func() {
			if err := tracer.Close(context.WithoutCancel(ctx)); err != nil {
				log.Warn("the last traces were not sent", "error", err)
			}
		}()
	}
	o.OnReady = func(role string) {
		attrs := []any{"api", base, "role", role}
		if cfg.API.Console && role != "proxy" {
			attrs = append(attrs, "console", pages)
		}
		log.Info("ready", attrs...)
	}
	a, err := app.New(cfg, o)
	if err != nil {
		return err
	}
	addr, err := a.Listen()
	if err != nil {
		return err
	}
	base, pages = baseURL(addr, cfg.API.BasePath), baseURL(addr, console.Path)
	log.Info("starting", "version", versionText(), "config", file, "api", base)
	running, ended := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { reloadOn(running, hangup, a, load, &mem) })
	wg.Go(func() { logs.toggleOn(running, toggle, log) })
	defer wg.Wait()
	defer ended()
	return a.Run(ctx)
}

// reloadOn reads the config again for every signal; those that come meanwhile are one.
func reloadOn(ctx context.Context, hangup <-chan os.Signal, a *app.App, load func() (*config.Config, error), mem *memory) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			var next *config.Config
			err := a.Reload(ctx, func() (cfg *config.Config, err error) {
				next, err = load()
				return next, err
			})
			if err == nil { // else it has told what is wrong
				mem.configured(next)
			}
		}
	}
}

// none takes no arguments.
func none(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(fmt.Sprintf("%s takes no argument, and got %q", cmd.CommandPath(), args[0]), "")
	}
	return nil
}

func addConfigFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", "", "the config file; required")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
}

func errNoConfig(cmd *cobra.Command) error {
	return usage("--config is missing", cmd.CommandPath()+" --config config.yaml")
}

// baseURL is the API's address for somebody on this machine.
func baseURL(addr net.Addr, path string) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String() + path
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + path
}
