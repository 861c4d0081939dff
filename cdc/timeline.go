package cdc

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
)

// fork is where a timeline was left for the next one.
type fork struct {
	timeline int32
	at       LSN
}

// readHistory asks the server for the timelines that its own grew out of. The first one has none.
// https://www.postgresql.org/docs/current/protocol-replication.html
func readHistory(ctx context.Context, conn *pgconn.PgConn, timeline int32) ([]fork, error) {
	if timeline <= 1 {
		return nil, nil
	}
	h, err := pglogrepl.TimelineHistory(ctx, conn, timeline)
	if err != nil {
		return nil, err
	}
	return parseHistory(string(h.Content))
}

// parseHistory reads a timeline history file: lines of timeline, position and reason, and comments.
func parseHistory(text string) ([]fork, error) {
	var forks []fork
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			return nil, fmt.Errorf("timeline history has the line %q", line)
		}
		timeline, err := strconv.ParseInt(fields[0], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("timeline history has the line %q", line)
		}
		at, err := pglogrepl.ParseLSN(fields[1])
		if err != nil {
			return nil, fmt.Errorf("timeline history has the line %q", line)
		}
		forks = append(forks, fork{int32(timeline), at})
	}
	return forks, nil
}

// forkOf returns where the catalog's timeline, or one that it grew out of, left the given one.
func (c *Catalog) forkOf(timeline int32) (LSN, bool) {
	for _, f := range c.history {
		if f.timeline == timeline {
			return f.at, true
		}
	}
	return 0, false
}
