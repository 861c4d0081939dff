package store

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhook/rowhook/subscriptions"
)

// unavailable marks errors that may pass by themselves: the connection's (no SQLSTATE), a server that is starting,
// stopping, full, read-only or a standby (55000: it has no position to write at), and locks.
func unavailable(err error) error {
	if err == nil || errors.Is(err, subscriptions.ErrNotFound) {
		return err
	}
	code := sqlState(err)
	err = inALine(err)
	if code == "" {
		return fmt.Errorf("%w: %w", subscriptions.ErrUnavailable, err)
	}
	switch code[:2] {
	case "08", "40", "53", "57", "58":
		return fmt.Errorf("%w: %w", subscriptions.ErrUnavailable, err)
	}
	switch code {
	case "25006", "55000", "55P03":
		return fmt.Errorf("%w: %w", subscriptions.ErrUnavailable, err)
	}
	return err
}

// inALine is an error of connecting without its line for each way that was tried: they mostly say the same, and are read in status.
func inALine(err error) error {
	var connect *pgconn.ConnectError
	if !errors.As(err, &connect) {
		return err
	}
	text := strings.TrimSpace(connect.Unwrap().Error())
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		text = strings.TrimSpace(text[i+1:])
	}
	c := connect.Config
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		text = fmt.Sprintf("%s (SQLSTATE %s)", pg.Message, pg.Code)
	}
	short := fmt.Sprintf("connect to %s:%d/%s: %s", c.Host, c.Port, c.Database, text)
	return &lineError{text: strings.Replace(err.Error(), connect.Error(), short, 1), err: err}
}

type lineError struct {
	text string
	err  error
}

func (e *lineError) Error() string { return e.text }
func (e *lineError) Unwrap() error { return e.err }
