package mapping

import (
	"strconv"
)

type intervalStyle uint8

const (
	intervalISO intervalStyle = iota
	// intervalSeconds counts a year as 365 days and a month as 30; intervalWholeSeconds as the mean Gregorian ones, and
	// cuts fractions off.
	intervalSeconds
	intervalWholeSeconds
	// intervalClock is 3 04:05:06.789000, intervalParts an object of the parts that are not zero.
	intervalClock
	intervalParts
)

// span is an interval taken apart. Each part has its own sign.
type span struct {
	years, months, days, hours, minutes, seconds, micros int64
}

// parseSpan reads the text under intervalstyle iso_8601: P1Y2M3DT4H5M6.789S, P-1DT1S, PT-0.5S.
func parseSpan(s []byte) (p span, ok bool) {
	if len(s) < 3 || s[0] != 'P' {
		return p, false
	}
	s = s[1:]
	clock := false
	for len(s) > 0 {
		if s[0] == 'T' {
			if clock || len(s) == 1 {
				return p, false
			}
			clock, s = true, s[1:]
		}
		sign := int64(1)
		if s[0] == '-' {
			sign, s = -1, s[1:]
		}
		n := digits(s)
		if n == 0 || n > 18 || n == len(s) {
			return p, false
		}
		value := int64(0)
		for _, c := range s[:n] {
			value = value*10 + int64(c-'0')
		}
		value, s = value*sign, s[n:]
		if s[0] == '.' {
			f := digits(s[1:])
			if f == 0 || f > 6 || !clock || f+1 == len(s) || s[f+1] != 'S' {
				return p, false
			}
			for i := range 6 {
				p.micros *= 10
				if i < f {
					p.micros += int64(s[1+i] - '0')
				}
			}
			p.micros, s = p.micros*sign, s[1+f:]
		}
		switch unit := s[0]; {
		case !clock && unit == 'Y':
			p.years = value
		case !clock && unit == 'M':
			p.months = value
		case !clock && unit == 'D':
			p.days = value
		case clock && unit == 'H':
			p.hours = value
		case clock && unit == 'M':
			p.minutes = value
		case clock && unit == 'S':
			p.seconds = value
		default:
			return p, false
		}
		s = s[1:]
	}
	// What fits an interval of Postgres fits here too: 178 million years, and hours in 64 bits of microseconds.
	const limit = 1 << 31
	for _, n := range []int64{p.years, p.months, p.days, p.hours, p.minutes, p.seconds} {
		if n > limit || n < -limit {
			return p, false
		}
	}
	return p, true
}

// clockMicros are the hours and what is below them.
func (p *span) clockMicros() int64 {
	return ((p.hours*60+p.minutes)*60+p.seconds)*1_000_000 + p.micros
}

func (f *format) encodeInterval(dst, src []byte) []byte {
	if infinite(src) {
		return append(dst, "null"...)
	}
	if f.interval == intervalISO {
		return appendString(dst, src)
	}
	p, ok := parseSpan(src)
	if !ok {
		return appendString(dst, src)
	}
	return f.appendSpan(dst, &p)
}

// appendSpan writes an interval in any style but ISO 8601's.
func (f *format) appendSpan(dst []byte, p *span) []byte {
	const day = 86400 * 1_000_000
	clock, days := p.clockMicros(), p.years*365+p.months*30+p.days
	switch f.interval {
	case intervalWholeSeconds:
		return strconv.AppendInt(dst, p.years*31556952+p.months*2629746+p.days*86400+clock/1_000_000, 10)
	case intervalSeconds:
		if f.float == floatPostgres {
			return appendSeconds(dst, days*86400, clock)
		}
		return f.appendFloat(dst, (float64(days)*day+float64(clock))/1e6)
	case intervalClock:
		return appendClockSpan(dst, days, clock)
	}
	return p.appendParts(dst)
}

// appendSeconds writes a number of seconds with all its digits and no more.
func appendSeconds(dst []byte, seconds, micros int64) []byte {
	seconds, micros = seconds+micros/1_000_000, micros%1_000_000
	switch {
	case seconds > 0 && micros < 0:
		seconds, micros = seconds-1, micros+1_000_000
	case seconds < 0 && micros > 0:
		seconds, micros = seconds+1, micros-1_000_000
	}
	if seconds < 0 || micros < 0 {
		dst, seconds, micros = append(dst, '-'), -seconds, -micros
	}
	dst = strconv.AppendInt(dst, seconds, 10)
	var fraction [6]byte
	return clockTrimmed.append(dst, appendPadded(fraction[:0], int(micros), 6))
}

// appendClockSpan writes days and a time of day, which is never negative: -1 23:59:58.500000.
func appendClockSpan(dst []byte, days, clock int64) []byte {
	const day = 86400 * 1_000_000
	days += clock / day
	if clock %= day; clock < 0 {
		clock += day
		days--
	}
	dst = append(dst, '"')
	if days != 0 {
		dst = append(strconv.AppendInt(dst, days, 10), ' ')
	}
	seconds := int(clock / 1_000_000)
	dst = append(appendPadded(dst, seconds/3600, 2), ':')
	dst = append(appendPadded(dst, seconds/60%60, 2), ':')
	dst = appendPadded(dst, seconds%60, 2)
	if micros := int(clock % 1_000_000); micros != 0 {
		dst = appendPadded(append(dst, '.'), micros, 6)
	}
	return append(dst, '"')
}

func (p *span) appendParts(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, '{')
	for _, part := range []struct {
		name  string
		value int64
	}{{"years", p.years}, {"months", p.months}, {"days", p.days}, {"hours", p.hours}, {"minutes", p.minutes}, {"seconds", p.seconds}} {
		if part.value != 0 {
			dst = append(appendString(appendComma(dst, start), part.name), ':')
			dst = strconv.AppendInt(dst, part.value, 10)
		}
	}
	if p.micros != 0 {
		dst = append(appendComma(dst, start), `"milliseconds":`...)
		dst = strconv.AppendFloat(dst, float64(p.micros)/1000, 'f', -1, 64)
	}
	return append(dst, '}')
}
