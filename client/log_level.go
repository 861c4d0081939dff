package client

import (
	"context"
	"net/http"
)

// LogLevel is from which level on a process logs.
type LogLevel struct {
	// Level is one of LogLevels.
	Level string `json:"level"`
}

// LogLevels are the levels that there are, the most talkative first: debug tells every attempt and request.
func LogLevels() []string { return []string{"debug", "info", "warn", "error"} }

// LogLevel tells from which level on the process that answers logs. It needs an admin's token.
func (c *Client) LogLevel(ctx context.Context) (*LogLevel, error) {
	l := new(LogLevel)
	return l, c.operation(ctx, http.MethodGet, "/log-level", nil, l)
}

// SetLogLevel lets the process that answers log from one of LogLevels on, until it ends or another is set. It needs an admin's token.
func (c *Client) SetLogLevel(ctx context.Context, level string) (*LogLevel, error) {
	l := new(LogLevel)
	return l, c.operation(ctx, http.MethodPut, "/log-level", LogLevel{Level: level}, l)
}
