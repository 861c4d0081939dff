package demo

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

func TestComplete(t *testing.T) {
	t.Parallel()
	hook := func(kind, position string) arrival {
		return arrival{Request: hooktest.Request{Type: kind, Position: position}}
	}
	create, update, remove := hook("contact.create", "1"), hook("contact.update", "2"), hook("contact.delete", "3")
	forged := update
	forged.Err = errors.New("no matching signature")
	for promise, c := range map[string]struct {
		got  []arrival
		want string
	}{
		"AllThree":         {[]arrival{create, update, remove}, ""},
		"MissingIsNamed":   {[]arrival{create, update}, "contact.delete did not arrive"},
		"AllMissing":       {nil, "contact.create did not arrive\ncontact.update did not arrive\ncontact.delete did not arrive"},
		"ForgedIsTold":     {[]arrival{create, forged, remove}, "contact.update: no matching signature"},
		"PositionMustGrow": {[]arrival{create, hook("contact.update", "1"), remove}, "contact.update: its position is not after"},
		"OrderCounts":      {[]arrival{hook("contact.update", "1"), hook("contact.create", "2"), remove}, "the order is wrong"},
	} {
		t.Run(promise, func(t *testing.T) {
			t.Parallel()
			err := complete(c.got)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	of := func(n int) (d []time.Duration) {
		for i := range n {
			d = append(d, time.Duration(i+1))
		}
		return d
	}
	for _, c := range []struct {
		n, p int
		want time.Duration
	}{{1, 50, 1}, {1, 99, 1}, {2, 50, 1}, {100, 50, 50}, {100, 95, 95}, {100, 99, 99}, {1000, 99, 990}, {10, 95, 10}} {
		if got := percentile(of(c.n), c.p); got != c.want {
			t.Errorf("p%d of %d: got %d, want %d", c.p, c.n, got, c.want)
		}
	}
}
