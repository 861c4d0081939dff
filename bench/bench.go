//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// bench is what all runs share.
type bench struct {
	options
	server   *pgtest.Server // of the application
	apart    *pgtest.Server // for stores that are elsewhere; nil until it is needed
	receiver *role
	addr     string // the receiver's
	program  string // rowhook
	config   string // its file
	turn     string // the run under way: scenario, variant, number
}

func (b *bench) url(path string) string { return "http://" + b.addr + path }

// measure runs the scenarios that are asked for, and writes what came out.
func measure(ctx context.Context, o options) (err error) {
	var chosen []scenario
	for _, s := range scenarios(o) {
		if (o.only == nil || o.only.MatchString(s.Name)) && (o.large || !s.large) {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return errors.New("no scenario has such a name; hint: -list prints them, and those that take minutes need -large")
	}
	dir, err := os.MkdirTemp("", "rowhook-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{options: o, config: filepath.Join(dir, "config.yaml")}
	if o.profile != "" {
		if b.profile, err = filepath.Abs(o.profile); err != nil {
			return err
		}
		if err := os.MkdirAll(b.profile, 0o755); err != nil {
			return fmt.Errorf("make the directory of the profiles: %w", err)
		}
	}
	if err := os.WriteFile(b.config, []byte(config), 0o600); err != nil {
		return err
	}
	if b.program, err = build(ctx, dir, o.profile != ""); err != nil {
		return err
	}
	if b.server, err = b.startPostgres(ctx); err != nil {
		return err
	}
	defer func() {
		for _, s := range b.servers() {
			err = errors.Join(err, s.Stop())
		}
	}()
	if b.receiver, err = startRole("receiver", order{}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.receiver.stop()) }()
	var hello receipts
	if err := b.receiver.answer(ctx, &hello); err != nil {
		return err
	}
	b.addr = hello.Addr
	rep, err := b.newReport(ctx)
	if err != nil {
		return err
	}
	rep.head(o.out)
	for _, s := range chosen {
		result, err := b.scenario(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		rep.Scenarios = append(rep.Scenarios, result)
		result.print(o.out)
		// After each, so that what took an hour is not lost with what fails.
		if err := rep.save(o.json); err != nil {
			return err
		}
	}
	return rep.verdict()
}

func (b *bench) startPostgres(ctx context.Context) (*pgtest.Server, error) {
	s, err := pgtest.Start(ctx, pgtest.Options{Settings: settings, Progress: func(what string) { fmt.Fprintln(b.progress, what) }})
	if err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	return s, nil
}

// servers are those that run.
func (b *bench) servers() []*pgtest.Server {
	if b.apart == nil {
		return []*pgtest.Server{b.server}
	}
	return []*pgtest.Server{b.server, b.apart}
}

// scenario runs the variants in turns.
func (b *bench) scenario(ctx context.Context, s scenario) (*scenarioResult, error) {
	runs := make([][]*outcome, len(s.variants))
	for n := range b.repeats {
		for i, v := range s.variants {
			b.turn = fmt.Sprintf("%s-%s-%d", s.Name, fileName(v.Name), n+1)
			begun := time.Now()
			o, err := b.inDatabase(ctx, v)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", v.Name, err)
			}
			runs[i] = append(runs[i], o)
			fmt.Fprintf(b.progress, "%s: %s, %d of %d, took %s\n", s.Name, v.Name, n+1, b.repeats, time.Since(begun).Round(100*time.Millisecond))
		}
	}
	return summarise(s, runs), nil
}

// fileName is a text as a part of a file's name.
func fileName(text string) string {
	out := []byte(text)
	for i, c := range out {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			out[i] = '_'
		}
	}
	return string(out)
}

// inDatabase runs a variant in a database of its own.
func (b *bench) inDatabase(ctx context.Context, v variant) (o *outcome, err error) {
	d, err := b.newDatabase(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.drop()) }()
	return v.run(ctx, b, d)
}
