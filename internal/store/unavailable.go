package store

import (
	"errors"
	"fmt"

	"github.com/rowhook/rowhook/subscriptions"
)

// unavailable marks errors that may pass by themselves: the connection's (no SQLSTATE), a server that is starting,
// stopping, full, read-only or a standby (55000: it has no position to write at), and locks.
func unavailable(err error) error {
	if err == nil || errors.Is(err, subscriptions.ErrNotFound) {
		return err
	}
	code := sqlState(err)
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
