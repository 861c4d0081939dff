package app

import (
	"context"
	"log/slog"
	"strings"
)

// SetLogLevel sets a logger's level and tells so in its log, by whom if that is not empty. It is told at any level: who has set it looks
// there for whether it came.
func SetLogLevel(ctx context.Context, log *slog.Logger, now *slog.LevelVar, level slog.Level, by string) {
	told := []slog.Attr{slog.String("now", levelName(level))}
	if by != "" {
		told = append(told, slog.String("by", by))
	}
	now.Set(slog.LevelDebug)
	log.LogAttrs(ctx, max(level, slog.LevelInfo), "the log level is another now", told...)
	now.Set(level)
}

func levelName(l slog.Level) string { return strings.ToLower(l.String()) }

// logLevels implements api.LogLevels.
type logLevels struct{ a *App }

func (l logLevels) Level() string { return levelName(l.a.opts.LogLevel.Level()) }

func (l logLevels) SetLevel(ctx context.Context, name, by string) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err == nil { // else it is none: the API has looked
		SetLogLevel(ctx, l.a.log, l.a.opts.LogLevel, level, by)
	}
}
