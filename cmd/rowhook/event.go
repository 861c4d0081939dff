package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

func (p *program) eventCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:     "event",
		Aliases: []string{"events"},
		Short:   "List what has happened",
		Long: "event talks to a running rowhook over its REST API. The address and the token come from --url and --token,\n" +
			"or from ROWHOOK_URL and ROWHOOK_TOKEN.",
		Example: "  rowhook event list --type contact.* --resource-id 42",
	}
	group(cmd)
	cmd.PersistentFlags().StringVar(&r.url, "url", "", "the API, with its base path; ROWHOOK_URL, else "+defaultURL)
	cmd.PersistentFlags().StringVar(&r.token, "token", "", "a token of the API; ROWHOOK_TOKEN")
	r.output = "json"
	cmd.AddCommand(p.listEventsCommand(&r))
	return cmd
}

// maxEvents is how many events one answer of the API may have.
const maxEvents = 1000

// eventReader gives a page that follows a cursor, or comes before one.
type eventReader func(ctx context.Context, after, before string, limit int) (*client.EventPage, error)

// printEvents prints a line of JSON for each event: the newest, or with after those behind it, up to limit; 0 is all. It returns
// where to go on.
func (p *program) printEvents(ctx context.Context, c *client.Client, read eventReader, after string, limit int) (cursor string, err error) {
	left, before := limit, ""
	for {
		n := maxEvents
		if limit > 0 {
			n = min(n, left)
		}
		page, err := read(ctx, after, before, n)
		if err != nil {
			return cursor, answered(c, err)
		}
		if err := p.eventLines(page.Events); err != nil {
			return cursor, err
		}
		left -= len(page.Events)
		if cursor == "" || after != "" {
			cursor = page.Cursor
		}
		done := limit > 0 && left <= 0
		switch {
		case after != "" && (done || len(page.Events) == 0 && page.Cursor == after):
			return cursor, nil
		case after != "":
			after = page.Cursor
		case page.Older == "":
			return cursor, nil
		case done:
			fmt.Fprintf(p.stderr, "there are more: these are the newest %d, --limit 0 lists all\n", limit)
			return cursor, nil
		default:
			before = page.Older
		}
	}
}

// eventLines prints events, each on a line.
func (p *program) eventLines(events []json.RawMessage) error {
	var line bytes.Buffer
	for _, e := range events {
		line.Reset()
		if err := json.Compact(&line, e); err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		line.WriteByte('\n')
		if _, err := p.stdout.Write(line.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) listEventsCommand(r *remote) *cobra.Command {
	var q client.EventQuery
	var since, until string
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "Print stored events as lines of JSON, newest first", Args: none}
	f := cmd.Flags()
	f.StringSliceVar(&q.Types, "type", nil, "only these, such as contact.create or contact.*")
	f.StringVar(&q.ResourceID, "resource-id", "", "only those of this instance")
	f.StringVar(&since, "since", "", "only those committed then or later: 2026-11-22T04:54:02Z, or how long ago it was: 24h")
	f.StringVar(&until, "until", "", "only those committed then or earlier")
	f.StringVar(&q.After, "after", "", "behind this position, in the order of the commits; oldest is all that is kept")
	f.StringVar(&q.Format, "format", "", "standard, representation, thin or cloudevents")
	f.IntVar(&limit, "limit", 100, "how many at most; 0 is all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if q.Since, err = timeFlag("since", since); err != nil {
			return err
		}
		if q.Until, err = timeFlag("until", until); err != nil {
			return err
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		_, err = p.printEvents(cmd.Context(), c, func(ctx context.Context, after, before string, limit int) (*client.EventPage, error) {
			q.After, q.Before, q.Limit = after, before, limit
			return c.Events(ctx, q)
		}, q.After, limit)
		return err
	}
	return cmd
}

// timeFlag reads a time, or how long ago it was.
func timeFlag(name, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(value); err == nil && ago >= 0 {
		return time.Now().Add(-ago), nil
	}
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil {
		return t, usage(fmt.Sprintf("--%s %q is not a time", name, value), "write 2026-11-22T04:54:02Z, or how long ago it was: 24h")
	}
	return t, nil
}

func (p *program) feedCommand(r *remote) *cobra.Command {
	var q client.FeedQuery
	var limit int
	var follow bool
	cmd := &cobra.Command{
		Use: "events ID", Short: "Print what a subscription has matched as lines of JSON, newest first", Args: oneID, ValidArgsFunction: r.completeIDs,
		Long: "events prints the bodies that the subscription's target gets, a line of JSON for each: the newest first, or with --after\n" +
			"in the order of the commits. With --follow it goes on with what comes. At the end it tells where to go on, on stderr.",
		Example: "  rowhook subscription events sub_s4gfrbe74abr2t6lqk6uias3i7 --missed\n" +
			"  rowhook subscription events sub_s4gfrbe74abr2t6lqk6uias3i7 --after oldest --follow",
	}
	f := cmd.Flags()
	f.StringVar(&q.After, "after", "", "behind this position, in the order of the commits; oldest is all that is kept, latest what is to come")
	f.BoolVar(&follow, "follow", false, "go on with what comes, until Ctrl-C; without --after, from now on")
	f.BoolVar(&q.Missed, "missed", false, "only what was not delivered")
	f.StringSliceVar(&q.Types, "type", nil, "only these, such as contact.create or contact.*")
	f.StringVar(&q.ResourceID, "resource-id", "", "only those of this instance")
	f.IntVar(&limit, "limit", 100, "how many at most; 0 is all. With --follow it is not heard")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		if follow {
			if q.After == "" {
				q.After = "latest"
			}
			ctx, release := untilSignal(cmd.Context(), p.stderr, os.Interrupt, syscall.SIGTERM)
			defer release()
			return p.followFeed(ctx, c, args[0], q)
		}
		cursor, err := p.printEvents(cmd.Context(), c, func(ctx context.Context, after, before string, limit int) (*client.EventPage, error) {
			q.After, q.Before, q.Limit = after, before, limit
			return c.Feed(ctx, args[0], q)
		}, q.After, limit)
		if cursor != "" {
			fmt.Fprintf(p.stderr, "to go on: --after %s\n", cursor)
		}
		return err
	}
	return cmd
}

// followAgain is how long it takes until a rowhook that does not answer is asked again.
const followAgain = 2 * time.Second

// followFeed prints what comes, and begins again where it was when rowhook is away meanwhile.
func (p *program) followFeed(ctx context.Context, c *client.Client, id string, q client.FeedQuery) error {
	for away := false; ; {
		for page, err := range c.FollowFeed(ctx, id, q) {
			if ctx.Err() != nil {
				break
			}
			var told *client.Error
			if errors.As(err, &told) && told.Status != http.StatusServiceUnavailable && told.Status != http.StatusTooManyRequests {
				return answered(c, err)
			}
			if err != nil {
				if !away {
					fmt.Fprintf(p.stderr, "rowhook is away, and asked again: %v\n", answered(c, err))
				}
				away = true
				break
			}
			away, q.After = false, page.Cursor
			if err := p.eventLines(page.Events); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			if q.After != "latest" {
				fmt.Fprintf(p.stderr, "to go on: --after %s\n", q.After)
			}
			return nil
		case <-time.After(followAgain):
		}
	}
}
