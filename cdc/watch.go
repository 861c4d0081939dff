package cdc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// watchEvery is how often the publication is looked at: the stream itself does not tell that a table was taken out.
const watchEvery = 5 * time.Second

// watchLoop says in Status.Degraded when a mapped table is not published any more.
func (s *Source) watchLoop(ctx context.Context, sql *shared) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	defer s.setDegraded("")
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var missing []TableName
		err := sql.do(ctx, func(conn *pgx.Conn) (err error) {
			missing, err = s.unpublished(ctx, conn)
			return err
		})
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				s.cfg.Log.Debug("the publication cannot be looked at", "error", cause(err))
			}
			continue
		}
		text := ""
		if len(missing) > 0 {
			text = s.notPublished(missing).Error()
		}
		s.setDegraded(text)
	}
}

func (s *Source) setDegraded(text string) {
	s.mu.Lock()
	was := s.status.Degraded
	s.status.Degraded = text
	s.mu.Unlock()
	switch {
	case text != "" && text != was:
		s.cfg.Log.Error("changes are being missed", "reason", text)
	case text == "" && was != "":
		s.cfg.Log.Info("the publication has all mapped tables again")
	}
}

// notPublished is a gap: what happens to these tables meanwhile is never sent.
func (s *Source) notPublished(missing []TableName) error {
	names, quoted := make([]string, len(missing)), make([]string, len(missing))
	for i, t := range missing {
		names[i], quoted[i] = t.String(), t.Quote()
	}
	return &Error{Class: Gap,
		What: fmt.Sprintf("the publication %s does not have %s any more: changes there are not sent, now or later", s.cfg.Publication, strings.Join(names, ", ")),
		Mend: fmt.Sprintf("ALTER PUBLICATION %s ADD TABLE %s;  (or restart rowhook, which does it where it may)", QuoteIdent(s.cfg.Publication), strings.Join(quoted, ", "))}
}
