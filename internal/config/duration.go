package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// maxDays is what a time.Duration holds, with room for the rest of the text.
const maxDays = 100_000

// parseDuration reads 15s, 1h30m, 7d or 1d12h. A day is 24 hours.
func parseDuration(s string) (time.Duration, bool) {
	days, rest, hasDays := strings.Cut(s, "d")
	if !hasDays {
		d, err := time.ParseDuration(s)
		return d, err == nil && unsigned(s)
	}
	n, err := strconv.ParseUint(days, 10, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && n > maxDays {
		n = maxDays // longer than any bound: said to be too long, not to be no duration
	} else if err != nil {
		return 0, false
	}
	d := time.Duration(n) * day
	if rest == "" {
		return d, true
	}
	more, err := time.ParseDuration(rest)
	return d + more, err == nil && unsigned(rest) && d+more >= d
}

// unsigned refuses the signs that Go's parsers take.
func unsigned(s string) bool { return s != "" && s[0] != '+' && s[0] != '-' }

// showDuration writes a duration as people do: 15s, 5m, 7d.
func showDuration(d time.Duration) string {
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// atLeast and atMost tell a bound. One that is a nanosecond off a round number excludes that number.
func atLeast(d time.Duration) string {
	if d == time.Nanosecond {
		return "use more than 0s"
	}
	return "use at least " + showDuration(d)
}

func atMost(d time.Duration) string {
	if (d+time.Nanosecond)%time.Second == 0 {
		return "use less than " + showDuration(d+time.Nanosecond)
	}
	return "use at most " + showDuration(d)
}

// duration is a span of time between two bounds, both allowed.
func duration(least, most time.Duration) scalar[time.Duration] {
	const hint = "write a number and a unit: 500ms, 15s, 5m, 2h, 7d"
	return scalar[time.Duration]{
		want: "a duration",
		hint: hint,
		// A bare number is text as well as anything: it lacks its unit, and parse says so.
		tags: []string{"!!str", "!!int", "!!float"},
		parse: func(s string) (time.Duration, *mistake) {
			d, ok := parseDuration(s)
			switch {
			case !ok:
				return 0, &mistake{is: "is not a duration"}
			case d < least:
				return 0, &mistake{is: "is too short", hint: atLeast(least)}
			case d > most:
				return 0, &mistake{is: "is too long", hint: atMost(most)}
			}
			return d, nil
		},
		show: func(d time.Duration) any { return showDuration(d) },
		json: jsonObject{
			{"type", "string"},
			{"pattern", `^(\d+d)?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))*$`},
			{"examples", []any{"500ms", "15s", "5m", "7d", "1d12h"}},
		},
		strict: true,
	}
}
