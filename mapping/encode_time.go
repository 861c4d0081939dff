package mapping

import (
	"bytes"
	"strconv"
	"time"
)

// stamp is a date or timestamp of Postgres' ISO output, taken apart but not converted: Go's time.Parse knows neither BC
// nor years above 9999, and the hot path needs no time.Time.
type stamp struct {
	year       []byte // four digits or more
	bc         bool
	month, day []byte
	clock      []byte // 13:14:15; nil for a date
	fraction   []byte // up to six digits
	offset     []byte // +00, -15:59, +05:21:10; nil for none
}

func parseStamp(s []byte) (p stamp, ok bool) {
	if n := len(s); n > 3 && string(s[n-3:]) == " BC" {
		p.bc, s = true, s[:n-3]
	}
	n := digits(s)
	if n < 4 || n > 7 || len(s) < n+6 || s[n] != '-' || s[n+3] != '-' {
		return p, false
	}
	p.year, p.month, p.day, s = s[:n], s[n+1:n+3], s[n+4:n+6], s[n+6:]
	if !twoDigits(p.month, 1, 12) || !twoDigits(p.day, 1, 31) {
		return p, false
	}
	if len(s) == 0 {
		return p, true
	}
	if len(s) < 9 || s[0] != ' ' || s[3] != ':' || s[6] != ':' {
		return p, false
	}
	p.clock, s = s[1:9], s[9:]
	if !twoDigits(p.clock[0:2], 0, 24) || !twoDigits(p.clock[3:5], 0, 59) || !twoDigits(p.clock[6:8], 0, 60) {
		return p, false
	}
	if len(s) > 0 && s[0] == '.' {
		n := digits(s[1:])
		if n == 0 || n > 6 {
			return p, false
		}
		p.fraction, s = s[1:1+n], s[1+n:]
	}
	if len(s) == 0 {
		return p, true
	}
	p.offset = s
	if s[0] != '+' && s[0] != '-' {
		return p, false
	}
	for s = s[1:]; ; s = s[3:] {
		if len(s) < 2 || !twoDigits(s[:2], 0, 59) {
			return p, false
		}
		if len(s) == 2 {
			return p, true
		}
		if s[2] != ':' || len(s) < 5 {
			return p, false
		}
	}
}

func twoDigits(s []byte, low, high int) bool {
	if len(s) != 2 || s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
		return false
	}
	n := number(s)
	return n >= low && n <= high
}

// number is the value of a few digits.
func number(s []byte) int {
	n := 0
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n
}

// astronomical is the year with 1 BC as 0.
func (p *stamp) astronomical() int {
	if p.bc {
		return 1 - number(p.year)
	}
	return number(p.year)
}

// clockStyle is the precision of a clock. What is cut off is not rounded.
type clockStyle uint8

const (
	clockMicroseconds clockStyle = iota
	clockMilliseconds
	clockSeconds
	// clockTrimmed has no zeros at the end, clockISOFormat six digits or none.
	clockTrimmed
	clockISOFormat
)

// yearStyle is how years that are not from 0 to 9999 are written.
type yearStyle uint8

const (
	// yearsSigned is +10000 and -0043, yearsBare 10000 and -0043, yearsSix +010000 and -000043.
	yearsSigned yearStyle = iota
	yearsBare
	yearsSix
)

type infinityStyle uint8

const (
	infinityNull infinityStyle = iota
	infinityText
	// infinityPython is the first or last time that Python has.
	infinityPython
)

func (f *format) appendDate(dst []byte, p *stamp) []byte {
	if p.bc || len(p.year) > 4 {
		dst = f.years.append(dst, p.astronomical())
	} else {
		dst = append(dst, p.year...)
	}
	dst = append(dst, '-')
	dst = append(dst, p.month...)
	dst = append(dst, '-')
	return append(dst, p.day...)
}

func (f *format) appendClock(dst []byte, p *stamp) []byte {
	dst = append(dst, 'T')
	dst = append(dst, p.clock...)
	return f.clock.append(dst, p.fraction)
}

// append writes the fraction of a second, which has at most six digits.
func (c clockStyle) append(dst, fraction []byte) []byte {
	switch c {
	case clockSeconds:
		return dst
	case clockMilliseconds:
		fraction = fraction[:min(len(fraction), 3)]
		dst = append(append(dst, '.'), fraction...)
		return append(dst, "000"[len(fraction):]...)
	case clockTrimmed, clockISOFormat:
		fraction = bytes.TrimRight(fraction, "0")
		if len(fraction) == 0 {
			return dst
		}
		if c == clockTrimmed {
			return append(append(dst, '.'), fraction...)
		}
	}
	dst = append(append(dst, '.'), fraction...)
	return append(dst, "000000"[len(fraction):]...)
}

// time is the instant, in UTC; without an offset the clock is taken as UTC.
func (p *stamp) time() time.Time {
	var hour, minute, second, micro int
	if p.clock != nil {
		hour, minute, second = number(p.clock[0:2]), number(p.clock[3:5]), number(p.clock[6:8])
		micro = number(p.fraction)
		for i := len(p.fraction); i < 6; i++ {
			micro *= 10
		}
	}
	t := time.Date(p.astronomical(), time.Month(number(p.month)), number(p.day), hour, minute, second, micro*1000, time.UTC)
	if p.offset == nil {
		return t
	}
	seconds, unit := 0, 3600
	for i := 1; i+1 < len(p.offset); i += 3 {
		seconds += number(p.offset[i:i+2]) * unit
		unit /= 60
	}
	if p.offset[0] == '-' {
		seconds = -seconds
	}
	return t.Add(-time.Duration(seconds) * time.Second)
}

// append writes a year. Four digits do not hold all.
func (y yearStyle) append(dst []byte, year int) []byte {
	limit := 1000
	if y == yearsSix && (year < 0 || year > 9999) {
		limit = 100_000
	}
	switch {
	case year < 0:
		dst, year = append(dst, '-'), -year
	case year > 9999 && y != yearsBare:
		dst = append(dst, '+')
	}
	for ; limit > 1 && year < limit; limit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(year), 10)
}

func infinite(src []byte) bool { return string(src) == "infinity" || string(src) == "-infinity" }

// appendInfinity writes an infinite date or timestamp; first and last are the ends of Python's time.
func (f *format) appendInfinity(dst, src []byte, first, last, zone string) []byte {
	switch f.infinity {
	case infinityText:
		return appendString(dst, src)
	case infinityPython:
		if src[0] == '-' {
			return appendString(dst, first+zone)
		}
		return appendString(dst, last+zone)
	}
	return append(dst, "null"...)
}

func (f *format) encodeDate(dst, src []byte) []byte {
	if infinite(src) {
		return f.appendInfinity(dst, src, "0001-01-01", "9999-12-31", "")
	}
	p, ok := parseStamp(src)
	if !ok || p.clock != nil {
		return appendString(dst, src)
	}
	dst = append(dst, '"')
	dst = f.appendDate(dst, &p)
	if f.dateTime {
		p.clock = []byte("00:00:00")
		dst = append(f.appendClock(dst, &p), f.utc...)
	}
	return append(dst, '"')
}

func (f *format) encodeTimestamp(dst, src []byte) []byte {
	if infinite(src) {
		return f.appendInfinity(dst, src, "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", f.local)
	}
	p, ok := parseStamp(src)
	if !ok || p.clock == nil || p.offset != nil {
		return appendString(dst, src)
	}
	dst = append(dst, '"')
	dst = f.appendDate(dst, &p)
	dst = f.appendClock(dst, &p)
	return append(append(dst, f.local...), '"')
}

func (f *format) encodeTimestamptz(dst, src []byte) []byte {
	if infinite(src) {
		return f.appendInfinity(dst, src, "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", f.utc)
	}
	p, ok := parseStamp(src)
	if !ok || p.clock == nil || p.offset == nil {
		return appendString(dst, src)
	}
	if string(p.offset) != "+00" {
		// The session's time zone is UTC, so this is rare.
		return f.appendTime(dst, p.time())
	}
	dst = append(dst, '"')
	dst = f.appendDate(dst, &p)
	dst = f.appendClock(dst, &p)
	return append(append(dst, f.utc...), '"')
}

// timeStyle is how a time of day is written.
type timeStyle uint8

const (
	timeText timeStyle = iota
	// timeRails is that time on the first day of 2000, timeISOFormat has six digits behind the second or none.
	timeRails
	timeISOFormat
)

// encodeTime writes time and timetz. A text that is not a time stays as it is, 24:00:00 too.
func (f *format) encodeTime(dst, src []byte) []byte {
	rest := src
	if f.time == timeText || len(src) < 8 || src[2] != ':' || src[5] != ':' ||
		!twoDigits(src[0:2], 0, 24) || !twoDigits(src[3:5], 0, 59) || !twoDigits(src[6:8], 0, 60) {
		return appendString(dst, src)
	}
	clock, rest := rest[:8], rest[8:]
	var fraction []byte
	if len(rest) > 0 && rest[0] == '.' {
		n := min(digits(rest[1:]), 6)
		fraction, rest = rest[1:1+n], rest[1+n:]
	}
	if f.time == timeRails {
		if len(rest) > 0 { // an offset: Rails knows no such type
			return appendString(dst, src)
		}
		day := "2000-01-01T"
		if string(clock) == "24:00:00" {
			day, clock = "2000-01-02T", []byte("00:00:00")
		}
		dst = append(append(append(dst, '"'), day...), clock...)
		return append(append(f.clock.append(dst, fraction), f.utc...), '"')
	}
	dst = append(append(dst, '"'), clock...)
	dst = clockISOFormat.append(dst, fraction)
	dst = appendEscaped(dst, rest)
	if len(rest) == 3 {
		dst = append(dst, ":00"...)
	}
	return append(dst, '"')
}

// dateZone and localZone mark the times of expressions that come from date and timestamp columns: they are UTC in
// every respect, and tell how the result is written.
var (
	dateZone  = time.FixedZone("UTC", 0)
	localZone = time.FixedZone("UTC", 0)
)

// appendTime writes a time of an expression: as a date where it comes from one and is midnight, without zone where it
// comes from a timestamp, else as UTC.
func (f *format) appendTime(dst []byte, t time.Time) []byte {
	zone := t.Location()
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	micro := t.Nanosecond() / 1000
	dst = append(dst, '"')
	dst = f.years.append(dst, year)
	dst = append(dst, '-')
	dst = appendPadded(dst, int(month), 2)
	dst = append(dst, '-')
	dst = appendPadded(dst, day, 2)
	date := zone == dateZone && hour == 0 && minute == 0 && second == 0 && micro == 0
	if date && !f.dateTime {
		return append(dst, '"')
	}
	dst = append(dst, 'T')
	dst = appendPadded(dst, hour, 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, minute, 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, second, 2)
	var fraction [6]byte
	dst = f.clock.append(dst, appendPadded(fraction[:0], micro, 6))
	if (zone == dateZone || zone == localZone) && !date {
		return append(append(dst, f.local...), '"')
	}
	return append(append(dst, f.utc...), '"')
}

func appendPadded(dst []byte, n, width int) []byte {
	for limit := 10; width > 1; width, limit = width-1, limit*10 {
		if n < limit {
			for ; width > 1; width-- {
				dst = append(dst, '0')
			}
			break
		}
	}
	return strconv.AppendInt(dst, int64(n), 10)
}
