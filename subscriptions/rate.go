package subscriptions

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxRate is the highest rate, in requests per second. The lowest is one an hour.
const maxRate = 10_000

// Rate is how many requests a target gets in a time: 10/s, 600/m, 5000/h. Zero is no limit.
type Rate struct {
	Count int32
	// Unit is s, m or h; zero with a Count of zero.
	Unit byte
}

// rateUnits are the seconds of a unit.
var rateUnits = map[byte]int64{'s': 1, 'm': 60, 'h': 3600}

// ParseRate reads a rate as it is written. An error says what is wrong with it, to be put behind a name.
func ParseRate(text string) (Rate, error) {
	number, unit, ok := strings.Cut(text, "/")
	// A count of ten digits or more is above any bound.
	if !ok || len(unit) != 1 || rateUnits[unit[0]] == 0 || number == "" || strings.Trim(number, "0123456789") != "" {
		return Rate{}, fmt.Errorf(`is %s: give a number of requests and s, m or h, such as "10/s", "600/m" or "5000/h"`, quote(text))
	}
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || n > maxRate*rateUnits[unit[0]] {
		return Rate{}, fmt.Errorf(`is %s: give at most "%d/s"`, quote(text), maxRate)
	}
	if n < 1 {
		return Rate{}, fmt.Errorf(`is %s: give at least "1/h"`, quote(text))
	}
	return Rate{Count: int32(n), Unit: unit[0]}, nil
}

// String is the rate as it is written, empty for no limit.
func (r Rate) String() string {
	if r.Count == 0 {
		return ""
	}
	return strconv.Itoa(int(r.Count)) + "/" + string(r.Unit)
}

// Interval is the time from one request to the next, zero for no limit.
func (r Rate) Interval() time.Duration {
	if r.Count == 0 {
		return 0
	}
	unit, n := time.Duration(rateUnits[r.Unit])*time.Second, time.Duration(r.Count)
	return (unit + n - 1) / n // rounded up: never more than the rate
}

// IsZero says that there is no limit.
func (r Rate) IsZero() bool { return r == Rate{} }

// MarshalText writes the rate as 10/s.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a rate such as 10/s; the empty text is no limit.
func (r *Rate) UnmarshalText(b []byte) (err error) {
	if *r = (Rate{}); len(b) > 0 {
		*r, err = ParseRate(string(b))
	}
	return err
}
