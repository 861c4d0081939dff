package identity

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rowhook/rowhook/mapping"
)

// tellEvery is how often it is told at most: callers without an account may come as often as they like.
const tellEvery = time.Minute

// teller tells the operator of what may be a mistake in the config, and may as well be the caller's: whoever calls is told no more
// than that he is refused.
type teller struct {
	log *slog.Logger

	mu   sync.Mutex
	last map[string]time.Time
}

// tell logs a line, unless it did so lately.
func (t *teller) tell(what string, attrs ...any) {
	now := time.Now()
	t.mu.Lock()
	due := now.Sub(t.last[what]) >= tellEvery
	if due {
		if t.last == nil {
			t.last = map[string]time.Time{}
		}
		t.last[what] = now
	}
	t.mu.Unlock()
	if due {
		t.log.Warn(what, attrs...)
	}
}

// none tells of a caller who is refused because the expression gives no account, with the names of what it could have asked for.
func (t *teller) none(err error, account *mapping.Formula, o mapping.Object) {
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusForbidden && e.Err == nil {
		names := o.Names()
		t.tell("a caller has no account: refused", "account", account.String(), "members", strings.Join(names[:min(len(names), 20)], " "),
			"hint", "if that is everybody, mend proxy.identity's account")
	}
}
