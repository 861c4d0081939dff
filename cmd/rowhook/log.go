package main

import (
	"context"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/internal/app"
)

// logFlags are those of commands that log.
type logFlags struct {
	format, level string
	// now is the level of the logger that they made.
	now slog.LevelVar
}

func (f *logFlags) add(cmd *cobra.Command, level string) {
	cmd.Flags().StringVar(&f.format, "log-format", "text", "text or json")
	cmd.Flags().StringVar(&f.level, "log-level", level, "debug, info, warn or error")
	_ = cmd.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp))
}

// logger makes the logger that the flags ask for.
func (f *logFlags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	switch strings.ToLower(f.level) {
	case "debug":
		level = slog.LevelDebug
	case "info":
		level = slog.LevelInfo
	case "warn":
		level = slog.LevelWarn
	case "error":
		level = slog.LevelError
	default:
		return nil, usage(fmt.Sprintf("--log-level %q is not a level", f.level), "debug, info, warn or error")
	}
	f.now.Set(level)
	options := &slog.HandlerOptions{Level: &f.now}
	switch f.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, usage(fmt.Sprintf("--log-format %q is not a format", f.format), "text or json")
}

// takeStandardLog has what libraries write to the standard log come through the logger, as debug: net/http tells there of what
// targets send unasked, and they could fill the log with it.
func takeStandardLog(log *slog.Logger) {
	stdlog.SetFlags(0)
	stdlog.SetOutput(slog.NewLogLogger(log.Handler(), slog.LevelDebug).Writer())
}

// toggleOn switches to debug for every signal, and back to the level of the flags for the next one.
func (f *logFlags) toggleOn(ctx context.Context, again <-chan os.Signal, log *slog.Logger) {
	usual := f.now.Level()
	if usual == slog.LevelDebug {
		usual = slog.LevelInfo
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-again:
			next := usual
			if f.now.Level() != slog.LevelDebug {
				next = slog.LevelDebug
			}
			app.SetLogLevel(ctx, log, &f.now, next, "")
		}
	}
}
