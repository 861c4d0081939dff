package api_test

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
)

// letters are dead letters for tests: n of them, by number. What was asked of them last is kept.
type letters struct {
	n      int
	list   api.DeadLetterQuery
	replay api.DeadLetterReplay
	by     string
	// open and closed say what all of them are; with neither, they are closed and can be discarded.
	open, closed bool
}

func letterAt(n int) cdc.Position { return cdc.Position{Epoch: 1, Commit: cdc.LSN(n), Ordinal: 1} }

func (l *letters) List(_ context.Context, q api.DeadLetterQuery) (page []client.DeadLetter, more bool, err error) {
	l.list = q
	page = []client.DeadLetter{}
	for n := l.n; n > 0; n-- {
		if q.Before != nil && letterAt(n).Compare(*q.Before) >= 0 {
			continue
		}
		if len(page) == q.Limit {
			return page, true, nil
		}
		page = append(page, client.DeadLetter{ID: letterAt(n).String(), Op: "insert", State: client.DeadLetterOpen})
	}
	return page, false, nil
}

func (l *letters) Get(_ context.Context, at cdc.Position) (client.DeadLetter, error) {
	if int(at.Commit) > l.n {
		return client.DeadLetter{}, api.NotFound("there is no such dead letter")
	}
	if l.open {
		return client.DeadLetter{ID: at.String(), Op: "insert", State: client.DeadLetterOpen}, nil
	}
	return client.DeadLetter{ID: at.String(), Op: "insert", State: client.DeadLetterClosed, ClosedReason: "superseded"}, nil
}

func (l *letters) Replay(_ context.Context, q api.DeadLetterReplay) (int, error) {
	l.replay = q
	if len(q.Positions) > 0 && !l.open {
		return 0, nil
	}
	return l.n, nil
}

func (l *letters) Discard(ctx context.Context, at cdc.Position, by string) error {
	l.by = by
	if one, err := l.Get(ctx, at); err != nil || one.State == client.DeadLetterClosed && l.closed {
		return cmp.Or(err, api.Conflict("the dead letter is closed"))
	}
	return nil
}

func TestDeadLetterRoutes(t *testing.T) {
	t.Parallel()
	kept := &letters{n: 7}
	b := start(t, func(c *api.Config) { c.DeadLetters = kept })
	// Page by page, with the filter on each.
	seen := 0
	resp, body := b.do(t, "GET", "/api/v1/dead-letter?limit=3&resource=a%26b&state=open", tokenAdmin, "", "")
	for resp.StatusCode == 200 {
		seen += strings.Count(body, `"id"`)
		if kept.list.Resource != "a&b" || kept.list.State != client.DeadLetterOpen || kept.list.Limit != 3 {
			t.Errorf("asked for %+v", kept.list)
		}
		link, _, more := strings.Cut(strings.TrimPrefix(resp.Header.Get("Link"), "<"), `>; rel="next"`)
		if !more {
			break
		}
		resp, body = b.do(t, "GET", link, tokenAdmin, "", "")
	}
	if seen != 7 {
		t.Errorf("%d are listed", seen)
	}
	n := 0
	for range b.client(tokenAdmin).DeadLetters(t.Context(), client.DeadLetterFilter{Reason: "x"}) {
		n++
	}
	if n != 7 || kept.list.Reason != "x" {
		t.Errorf("the client lists %d, asked for %+v", n, kept.list)
	}
	id := letterAt(2).String()
	if err := b.client(tokenAdmin).DiscardDeadLetter(t.Context(), id); err != nil || kept.by != "ops" {
		t.Errorf("discarded by %q, %v", kept.by, err)
	}
	for _, c := range []struct {
		method, path, token, body string
		status                    int
		want                      string
	}{
		{"GET", "/dead-letter/", "", "", 401, ""},
		{"GET", "/dead-letter/", tokenOne, "", 403, "only an admin's token"},
		{"GET", "/dead-letter/" + id + "/", tokenOne, "", 403, ""},
		{"GET", "/dead-letter/" + strings.Repeat("0", 40), tokenOne, "", 403, ""},
		{"DELETE", "/dead-letter/" + id, tokenOne, "", 403, ""},
		{"POST", "/dead-letter/" + id + "/replay", tokenOne, "", 403, ""},
		{"POST", "/dead-letter/replay", tokenOne, `{"all":true}`, 403, ""},
		{"GET", "/dead-letter/?state=new", tokenAdmin, "", 400, "state is open or closed"},
		{"GET", "/dead-letter/?limit=0", tokenAdmin, "", 400, "limit"},
		{"GET", "/dead-letter/?after=x", tokenAdmin, "", 400, "after"},
		{"GET", "/dead-letter/nothing", tokenAdmin, "", 404, "there is no such dead letter"},
		{"GET", "/dead-letter/" + letterAt(9).String(), tokenAdmin, "", 404, ""},
		{"GET", "/dead-letter/" + id + "/x", tokenAdmin, "", 404, "there is no such route"},
		{"PUT", "/dead-letter/" + id, tokenAdmin, "", 405, "DELETE, GET"},
		{"POST", "/dead-letter/" + id + "/replay", tokenAdmin, "", 409, "closed: superseded"},
		{"POST", "/dead-letter/replay", tokenAdmin, `{}`, 422, "says nothing"},
		{"POST", "/dead-letter/replay", tokenAdmin, `{"resourc":"contact"}`, 422, ""},
		{"POST", "/dead-letter/replay", tokenAdmin, `{"ids":["x"]}`, 422, "ids[0]"},
		{"POST", "/dead-letter/replay", tokenAdmin, `{"all":true,"resource":"contact"}`, 422, ""},
		{"POST", "/dead-letter/replay", tokenAdmin, `{"all":true}`, 202, `{"count":7,"dry_run":false}`},
		{"POST", "/dead-letter/replay", tokenAdmin, `{"resource":"contact","dry_run":true}`, 200, `{"count":7,"dry_run":true}`},
	} {
		contentType := ""
		if c.body != "" {
			contentType = "application/json"
		}
		resp, body := b.do(t, c.method, "/api/v1"+c.path, c.token, contentType, c.body)
		if resp.StatusCode != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.body, resp.StatusCode, body, c.status, c.want)
		}
	}
	if got := fmt.Sprintf("%+v", kept.replay); got != "{Resource:contact Reason: Positions:[] DryRun:true}" {
		t.Errorf("asked for %s", got)
	}
}
