package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// application makes changes as a live application would, until ctx is done.
func (s *stage) application(ctx context.Context, rate float64) error {
	for n := 0; ; n++ {
		pause := time.Duration(float64(time.Second) / rate * (0.5 + rand.Float64()))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		a := choose(n)
		err := pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error { return a.do(ctx, tx) })
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errRolledBack):
			s.watcher.Note("a transaction that made a contact and a deal was rolled back: no hook")
		case err != nil:
			return fmt.Errorf("the demo's application: %s: %w", a.name, err)
		}
	}
}

// action is something that users of a CRM do, in one transaction.
type action struct {
	name   string
	weight int
	do     func(context.Context, pgx.Tx) error
}

// errRolledBack makes a transaction end without a trace.
var errRolledBack = errors.New("rolled back")

// statement is an action of one statement.
func statement(sql string, args ...func() any) func(context.Context, pgx.Tx) error {
	return func(ctx context.Context, tx pgx.Tx) error {
		values := make([]any, len(args))
		for i, a := range args {
			values[i] = a()
		}
		_, err := tx.Exec(ctx, sql, values...)
		return err
	}
}

var actions = []action{
	{"a new contact", 5, newContact},
	{"an email address changes", 4, statement(`UPDATE contacts SET email = lower(first_name) || '.' || $1::text || '@mail.example', updated_at = now()
		WHERE id = (SELECT id FROM contacts ORDER BY random() LIMIT 1)`, func() any { return fmt.Sprint(100 + rand.N(900)) })},
	{"a contact is tagged", 3, statement(`UPDATE contacts SET tags = CASE WHEN $1::text = ANY (tags) THEN array_remove(tags, $1::text) ELSE tags || $1::text END, updated_at = now()
		WHERE id = (SELECT id FROM contacts ORDER BY random() LIMIT 1)`, func() any { return pick("vip", "newsletter", "trade-fair", "partner") })},
	{"a contact is scored", 2, statement(`UPDATE contacts SET score = round((random() * 100)::numeric, 2), updated_at = now()
		WHERE id = (SELECT id FROM contacts ORDER BY random() LIMIT 1)`)},
	{"a deal moves on", 5, statement(`UPDATE deals SET
			stage = CASE stage WHEN 'lead' THEN 'qualified' WHEN 'qualified' THEN 'proposal' ELSE $1::text END,
			closed_at = CASE WHEN stage = 'proposal' THEN now() END, updated_at = now()
		WHERE id = (SELECT id FROM deals WHERE closed_at IS NULL ORDER BY random() LIMIT 1)`, func() any { return pick("won", "won", "lost") })},
	{"a new deal", 3, statement(`INSERT INTO deals (account_id, company_id, contact_id, title, amount, products, expected_close)
		SELECT account_id, company_id, id, $1::text || ' for ' || last_name, (100 + random() * 20000)::numeric(12,2), ARRAY[upper($1::text)], current_date + 45
		FROM contacts ORDER BY random() LIMIT 1`, func() any { return pick("Licences", "Training", "Support", "Hardware") })},
	{"a company grows", 1, statement(`UPDATE companies SET employees = coalesce(employees, 0) + 3, annual_revenue = annual_revenue * 1.01, updated_at = now()
		WHERE id = (SELECT id FROM companies ORDER BY random() LIMIT 1)`)},
	{"a customer with a first deal", 1, newCustomer},
	{"a contact is deleted", 2, statement(`DELETE FROM contacts WHERE id = (SELECT id FROM contacts WHERE id > 4 ORDER BY random() LIMIT 1)`)},
	{"old deals are deleted", 1, statement(`DELETE FROM deals WHERE id = (SELECT id FROM deals WHERE closed_at IS NOT NULL ORDER BY closed_at LIMIT 1)`)},
}

// everyNth of the transactions is rolled back.
const everyNth = 9

// choose picks the next action.
func choose(n int) action {
	if n%everyNth == everyNth-1 {
		return action{name: "a transaction that is rolled back", do: rolledBack}
	}
	whole := 0
	for _, a := range actions {
		whole += a.weight
	}
	at := rand.N(whole)
	for _, a := range actions {
		if at -= a.weight; at < 0 {
			return a
		}
	}
	return actions[0]
}

func newContact(ctx context.Context, tx pgx.Tx) error {
	first, last := pick("Ines", "Tomas", "Aiko", "Femi", "Nora", "Luca", "Zoe", "Karim"), pick("Haddad", "Nguyễn", "Kowalska", "Silva", "O'Brien", "Sørensen")
	_, err := tx.Exec(ctx, `INSERT INTO contacts (account_id, company_id, first_name, last_name, email, title, score, newsletter, custom)
		SELECT account_id, id, $1::text, $2::text, lower($1::text) || '@' || domain, $3::text, round((random() * 100)::numeric, 2), random() < 0.5, jsonb_build_object('source', $4::text)
		FROM companies ORDER BY random() LIMIT 1`, first, last, pick("Buyer", "Engineer", "CFO", "Editor"), pick("web", "fair", "referral"))
	return err
}

// newCustomer is a transaction over three tables.
func newCustomer(ctx context.Context, tx pgx.Tx) error {
	name := pick("Blue Heron", "Granite", "Saltmarsh", "Juniper", "Copper Kettle") + " " + pick("Labs", "Foods", "Studio", "Works")
	_, err := tx.Exec(ctx, `WITH company AS (
			INSERT INTO companies (account_id, name, domain, industry, employees) VALUES (1, $1::text, lower(replace($1::text, ' ', '-')) || '.example', 'services', 10)
			RETURNING id, account_id),
		contact AS (
			INSERT INTO contacts (account_id, company_id, first_name, last_name) SELECT account_id, id, 'Sam', 'Rivera' FROM company
			RETURNING id, account_id, company_id)
		INSERT INTO deals (account_id, company_id, contact_id, title, amount)
		SELECT account_id, company_id, id, 'Starter package', 990 FROM contact`, name)
	return err
}

func rolledBack(ctx context.Context, tx pgx.Tx) error {
	if err := newContact(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO deals (account_id, title, amount) VALUES (1, 'Never to be', 1)`); err != nil {
		return err
	}
	return errRolledBack
}

func pick(from ...string) string { return from[rand.N(len(from))] }
