package sender

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		after, date string
		want        time.Duration // 0: it does not ask
	}{
		{"", "", 0},
		{"0", "", time.Second},
		{"7", "", 7 * time.Second},
		{" 120 ", "", 2 * time.Minute},
		{"86400", "", 24 * time.Hour},
		{"86401", "", 24 * time.Hour},
		{strings.Repeat("9", 400), "", 24 * time.Hour},
		{"-1", "", 0},
		{"1.5", "", 0},
		{"+3", "", 0},
		{"1e3", "", 0},
		{"soon", "", 0},
		{"Sun, 22 Nov 2026 12:05:00 GMT", "", 5 * time.Minute},
		{"Sunday, 22-Nov-26 12:05:00 GMT", "", 5 * time.Minute},
		{"Sun Nov 22 12:05:00 2026", "", 5 * time.Minute},
		{"Sun, 22 Nov 2026 11:00:00 GMT", "", time.Second},
		{"Sun, 22 Nov 2099 11:00:00 GMT", "", 24 * time.Hour},
		{"Sun, 22 Nov 2026 13:00:30 GMT", "Sun, 22 Nov 2026 13:00:00 GMT", 30 * time.Second},
		{"Sun, 22 Nov 2026 12:05:00 GMT", "nonsense", 5 * time.Minute},
	} {
		got, ok := retryAfter(http.Header{"Retry-After": {c.after}, "Date": {c.date}}, now)
		if got != c.want || ok != (c.want != 0) {
			t.Errorf("%.40q, Date %q: %s %t, want %s", c.after, c.date, got, ok, c.want)
		}
	}
}
