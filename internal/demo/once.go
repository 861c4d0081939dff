package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// patience is how long the three hooks may take.
const patience = 12 * time.Second

// once makes a contact, changes it and deletes it, each in a transaction of its own, and waits for the hooks.
func (s *stage) once(ctx context.Context, begun time.Time, hooks <-chan arrival) error {
	s.watcher.Heading()
	var id int64
	err := s.conn.QueryRow(ctx, `INSERT INTO contacts (account_id, company_id, first_name, last_name, email, tags, score, custom)
		VALUES (1, 2, 'Grace', 'Hopper', 'grace@tidal.example', '{vip}', 99.50, '{"ship": 1}') RETURNING id`).Scan(&id)
	if err != nil {
		return fmt.Errorf("make a contact: %w", err)
	}
	if _, err := s.conn.Exec(ctx, `UPDATE contacts SET email = 'hopper@tidal.example', updated_at = now() WHERE id = $1`, id); err != nil {
		return fmt.Errorf("change the contact: %w", err)
	}
	if _, err := s.conn.Exec(ctx, `DELETE FROM contacts WHERE id = $1`, id); err != nil {
		return fmt.Errorf("delete the contact: %w", err)
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var got []arrival
	for len(got) < len(wanted) {
		select {
		case h := <-hooks:
			if h.Instance == fmt.Sprintf("contact/%d", id) {
				got = append(got, h)
			}
			continue
		case <-wait.Done():
		}
		break
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := complete(got); err != nil {
		return err
	}
	fmt.Fprintf(s.opts.Out, "all three arrived, in order, and their signatures are good: %.1f s from start to end\n", time.Since(begun).Seconds())
	return nil
}

// wanted are the events in their order.
var wanted = []string{"contact.create", "contact.update", "contact.delete"}

// complete says what is wrong with the hooks: missing, in another order, or not signed as they should be.
func complete(got []arrival) error {
	var wrong, types []string
	arrived := map[string]bool{}
	for i, h := range got {
		types = append(types, h.Request.Type)
		arrived[h.Request.Type] = true
		if h.Err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", h.Request.Type, h.Err))
		}
		if i > 0 && h.Request.Position <= got[i-1].Request.Position {
			wrong = append(wrong, fmt.Sprintf("%s: its position is not after the one before", h.Request.Type))
		}
	}
	for _, w := range wanted {
		if !arrived[w] {
			wrong = append(wrong, w+" did not arrive")
		}
	}
	if len(wrong) == 0 && strings.Join(types, " ") != strings.Join(wanted, " ") {
		wrong = append(wrong, "the order is wrong: "+strings.Join(types, ", "))
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "\n"))
	}
	return nil
}
