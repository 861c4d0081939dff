package api_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
)

// calls are the methods of the client, by the operation that each is for.
var calls = map[string]func(context.Context, *client.Client) error{
	"listEventTypes": func(ctx context.Context, c *client.Client) error { _, err := c.EventTypes(ctx); return err },
	"getEventType":   func(ctx context.Context, c *client.Client) error { _, err := c.EventType(ctx, "x"); return err },
	"sampleEventType": func(ctx context.Context, c *client.Client) error {
		_, err := c.Sample(ctx, "x", client.SampleOptions{Format: "standard"})
		return err
	},
	"importSubscription": func(ctx context.Context, c *client.Client) error {
		_, err := c.Import(ctx, []byte("{}"), true)
		return err
	},
	"listSubscriptions": func(ctx context.Context, c *client.Client) error {
		return firstOf(c.Select(ctx, client.Filter{Event: "*", State: "active", TargetHost: "h", Name: "n"}))
	},
	"createSubscription": func(ctx context.Context, c *client.Client) error {
		_, err := c.CreateWith(ctx, client.Patch{})
		return err
	},
	"getSubscription": func(ctx context.Context, c *client.Client) error { _, err := c.Get(ctx, "x"); return err },
	"replaceSubscription": func(ctx context.Context, c *client.Client) error {
		_, err := c.ReplaceWith(ctx, "x", client.Patch{})
		return err
	},
	"updateSubscription": func(ctx context.Context, c *client.Client) error {
		_, err := c.Update(ctx, "x", client.Patch{})
		return err
	},
	"deleteSubscription":  func(ctx context.Context, c *client.Client) error { return c.Delete(ctx, "x") },
	"disableSubscription": func(ctx context.Context, c *client.Client) error { _, err := c.Disable(ctx, "x", ""); return err },
	"enableSubscription":  func(ctx context.Context, c *client.Client) error { _, err := c.Enable(ctx, "x"); return err },
	"enableFailedSubscriptions": func(ctx context.Context, c *client.Client) error {
		_, err := c.EnableFailed(ctx, client.EnableFailed{All: true})
		return err
	},
	"pingSubscription":    func(ctx context.Context, c *client.Client) error { _, err := c.Ping(ctx, "x"); return err },
	"confirmSubscription": func(ctx context.Context, c *client.Client) error { return c.Confirm(ctx, "x", "rhv_x") },
	"rotateSecret": func(ctx context.Context, c *client.Client) error {
		_, err := c.RotateSecret(ctx, "x", client.Rotation{})
		return err
	},
	"listTokens": func(ctx context.Context, c *client.Client) error { return firstOf(c.Tokens(ctx)) },
	"createToken": func(ctx context.Context, c *client.Client) error {
		_, err := c.CreateToken(ctx, client.NewToken{})
		return err
	},
	"deleteToken": func(ctx context.Context, c *client.Client) error { return c.DeleteToken(ctx, "x") },
	"getStats":    func(ctx context.Context, c *client.Client) error { _, err := c.Stats(ctx, "x"); return err },
	"listStats":   func(ctx context.Context, c *client.Client) error { _, err := c.StatsOf(ctx, "x"); return err },
	"listHeld":    func(ctx context.Context, c *client.Client) error { return firstOf(c.Held(ctx, "x")) },
	"listEventDeliveries": func(ctx context.Context, c *client.Client) error {
		return firstOf(c.EventDeliveries(ctx, "x"))
	},
	"check":         func(ctx context.Context, c *client.Client) error { _, err := c.Check(ctx, true); return err },
	"getConfig":     func(ctx context.Context, c *client.Client) error { _, err := c.Config(ctx); return err },
	"listResources": func(ctx context.Context, c *client.Client) error { _, err := c.Resources(ctx); return err },
	"getResource":   func(ctx context.Context, c *client.Client) error { _, err := c.Resource(ctx, "x"); return err },
	"previewResource": func(ctx context.Context, c *client.Client) error {
		_, err := c.Preview(ctx, "x", client.PreviewRequest{})
		return err
	},
	"compareResource": func(ctx context.Context, c *client.Client) error {
		_, err := c.Compare(ctx, "x", client.CompareRequest{})
		return err
	},
	"getSession":  func(ctx context.Context, c *client.Client) error { _, err := c.Session(ctx); return err },
	"resume":      func(ctx context.Context, c *client.Client) error { _, err := c.Resume(ctx, false); return err },
	"getStatus":   func(ctx context.Context, c *client.Client) error { _, err := c.Status(ctx); return err },
	"getLogLevel": func(ctx context.Context, c *client.Client) error { _, err := c.LogLevel(ctx); return err },
	"setLogLevel": func(ctx context.Context, c *client.Client) error { _, err := c.SetLogLevel(ctx, "debug"); return err },
	"pause":       func(ctx context.Context, c *client.Client) error { _, err := c.Pause(ctx, "x"); return err },
	"getPause":    func(ctx context.Context, c *client.Client) error { _, err := c.Paused(ctx); return err },
	"drain":       func(ctx context.Context, c *client.Client) error { _, err := c.Drain(ctx, client.Drain{}); return err },
	"listDeadLetters": func(ctx context.Context, c *client.Client) error {
		return firstOf(c.DeadLetters(ctx, client.DeadLetterFilter{Resource: "r", Reason: "x", State: "open"}))
	},
	"getDeadLetter":     func(ctx context.Context, c *client.Client) error { _, err := c.DeadLetter(ctx, "x"); return err },
	"discardDeadLetter": func(ctx context.Context, c *client.Client) error { return c.DiscardDeadLetter(ctx, "x") },
	"replayDeadLetter":  func(ctx context.Context, c *client.Client) error { _, err := c.ReplayDeadLetter(ctx, "x"); return err },
	"replayDeadLetters": func(ctx context.Context, c *client.Client) error {
		_, err := c.ReplayDeadLetters(ctx, client.DeadLetterReplay{})
		return err
	},
	"readFeed": func(ctx context.Context, c *client.Client) error {
		_, err := c.Feed(ctx, "x", client.FeedQuery{After: "oldest", Before: "x", Types: []string{"*"}, ResourceID: "1", Missed: true, Limit: 1, Wait: time.Second})
		return err
	},
	"listEvents": func(ctx context.Context, c *client.Client) error {
		_, err := c.Events(ctx, client.EventQuery{After: "x", Before: "x", Types: []string{"*"}, ResourceID: "1", Limit: 1, Since: time.Now(), Until: time.Now(), Format: "thin"})
		return err
	},
	"listDeliveries": func(ctx context.Context, c *client.Client) error {
		return firstOf(c.Deliveries(ctx, "x", client.DeliveryFilter{Status: client.DeliveryFailed, Event: "x", ResourceID: "1", EventID: "y", From: time.Now()}))
	},
	"getDelivery": func(ctx context.Context, c *client.Client) error { _, err := c.GetDelivery(ctx, "x"); return err },
	"redeliver":   func(ctx context.Context, c *client.Client) error { _, err := c.Redeliver(ctx, "x"); return err },
	"replaySubscription": func(ctx context.Context, c *client.Client) error {
		_, err := c.Replay(ctx, "x", client.Replay{})
		return err
	},
	"backfillSubscription": func(ctx context.Context, c *client.Client) error {
		_, err := c.Backfill(ctx, "x", client.Backfill{})
		return err
	},
	"listJobs":     func(ctx context.Context, c *client.Client) error { _, err := c.Jobs(ctx, "x"); return err },
	"getJob":       func(ctx context.Context, c *client.Client) error { _, err := c.Job(ctx, "x"); return err },
	"cancelJob":    func(ctx context.Context, c *client.Client) error { return c.CancelJob(ctx, "x") },
	"getOpenAPI":   func(ctx context.Context, c *client.Client) error { _, err := c.OpenAPI(ctx); return err },
	"getHealth":    func(ctx context.Context, c *client.Client) error { _, err := c.Alive(ctx); return err },
	"getReadiness": func(ctx context.Context, c *client.Client) error { _, err := c.Ready(ctx); return err },
}

// notForPrograms are the operations that need no method, with the reason.
var notForPrograms = map[string]string{
	"getEventTypeSchema": "EventType has it",
	"getDocs":            "it is a page for people",
	"getMetrics":         "Prometheus reads it",
	"createSession":      "browsers log in; a program sends its token",
	"deleteSession":      "browsers log out",
}

func firstOf[T any](list func(func(T, error) bool)) (err error) {
	list(func(_ T, e error) bool { err = e; return false })
	return err
}

// asked keeps what was asked for, and answers nothing.
type asked struct{ method, path, query string }

func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	a.method, a.path, a.query = r.Method, r.URL.Path, r.URL.RawQuery
	return nil, http.ErrHandlerTimeout
}

// TestTheClientHasEveryOperation: a route that only curl can reach is half a route.
func TestTheClientHasEveryOperation(t *testing.T) {
	t.Parallel()
	b := start(t, whole)
	contract := contractOf(t, b.server.Document())
	left := map[string]bool{}
	for name := range calls {
		left[name] = true
	}
	for _, p := range b.server.Document().Paths {
		for _, m := range p.Value.Methods {
			id := m.Value.OperationID
			if notForPrograms[id] != "" {
				continue
			}
			call, ok := calls[id]
			if !ok {
				t.Errorf("the client has no method for %s: add one, and its line to calls", id)
				continue
			}
			delete(left, id)
			var a asked
			if err := call(t.Context(), &client.Client{URL: "http://rowhook.test/api/v1", HTTP: &http.Client{Transport: &a}}); err == nil {
				t.Errorf("the method for %s tells no error", id)
			}
			if op := contract.find(a.method, a.path); op == nil || op.OperationID != id {
				t.Errorf("the method for %s asks for %s %s", id, a.method, a.path)
			}
		}
	}
	for id := range left {
		t.Errorf("there is no operation %s any more", id)
	}
}
