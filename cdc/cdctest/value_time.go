package cdctest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	clockForm = `([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]*))?)?`
	zoneForm  = `( ?[zZ]| ?UTC| ?[+-][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2})?)?)?`
)

var (
	timeForm  = regexp.MustCompile(`^([0-9]{4,7})-([0-9]{1,2})-([0-9]{1,2})(?:(?:[Tt]| +)` + clockForm + zoneForm + `)?( BC)?$`)
	clockOnly = regexp.MustCompile(`^` + clockForm + zoneForm + `$`)
)

// newest is the last year of a type; all begin in 4714 BC.
var newest = map[string]int{"date": 5_874_897, "timestamp": 294_276, "timestamptz": 294_276}

var timeExamples = map[string]string{
	"date": "2026-11-22", "timestamp": "2026-11-22 01:02:03.5", "timestamptz": "2026-11-22 01:02:03.5+00, or 2026-11-22T01:02:03.5Z",
	"time": "01:02:03.5", "timetz": "01:02:03.5+00",
}

// timeText takes times as Postgres writes them, and as JSON has them. What else Postgres can read, such as "Jan 8, 1999"
// and "now", is no value of a stream.
func timeText(s, typ string) (string, error) {
	if lower := strings.ToLower(s); lower == "infinity" || lower == "-infinity" {
		return lower, nil
	}
	f := timeForm.FindStringSubmatch(s)
	if f == nil {
		return "", mistake{fmt.Sprintf("%s is not of the type %s", shown(s), typ), "write it as " + timeExamples[typ]}
	}
	outOf := mistake{fmt.Sprintf("%s is out of range for the type %s", shown(s), typ), "there is no such day or time"}
	year, month, day := number(f[1]), number(f[2]), number(f[3])
	if year == 0 {
		return "", outOf
	}
	if f[9] != "" {
		year = 1 - year
	}
	midnight := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if month < 1 || month > 12 || day < 1 || midnight.Day() != day {
		return "", outOf
	}
	var clock, zone time.Duration
	if f[4] != "" {
		var ok bool
		if clock, ok = clockOf(f[4:8]); !ok {
			return "", outOf
		}
		if zone, ok = zoneOf(f[8]); !ok {
			return "", outOf
		}
	}
	at := midnight.Add(clock)
	switch typ {
	case "date":
		at = midnight
	case "timestamptz":
		at = at.Add(-zone) // one without a zone takes no notice of it
	}
	oldest := time.Date(-4713, 11, 24, 0, 0, 0, 0, time.UTC)
	if at.Before(oldest) || at.Year() > newest[typ] {
		return "", outOf
	}
	out := fmt.Sprintf("-%02d-%02d", at.Month(), at.Day())
	if typ != "date" {
		out += at.Format(" 15:04:05.999999")
	}
	if typ == "timestamptz" {
		out += "+00"
	}
	if at.Year() < 1 {
		return fmt.Sprintf("%04d", 1-at.Year()) + out + " BC", nil
	}
	return fmt.Sprintf("%04d", at.Year()) + out, nil
}

// timeOfDay is a time without a day.
func timeOfDay(s, typ string) (string, error) {
	f := clockOnly.FindStringSubmatch(s)
	if f == nil {
		return "", mistake{fmt.Sprintf("%s is not of the type %s", shown(s), typ), "write it as " + timeExamples[typ]}
	}
	clock, ok := clockOf(f[1:5])
	zone, known := zoneOf(f[5])
	if !ok || !known {
		return "", mistake{fmt.Sprintf("%s is out of range for the type %s", shown(s), typ), "there is no such time"}
	}
	out := "24:00:00"
	if clock < 24*time.Hour {
		out = time.Time{}.Add(clock).Format("15:04:05.999999")
	}
	if typ == "timetz" {
		sign, seconds := '+', int(zone/time.Second)
		if seconds < 0 {
			sign, seconds = '-', -seconds
		}
		out += fmt.Sprintf("%c%02d", sign, seconds/3600)
		if seconds%3600 != 0 {
			out += fmt.Sprintf(":%02d", seconds/60%60)
		}
		if seconds%60 != 0 {
			out += fmt.Sprintf(":%02d", seconds%60)
		}
	}
	return out, nil
}

// clockOf is the time since midnight of hours, minutes, seconds and their fraction, to the microsecond.
func clockOf(f []string) (time.Duration, bool) {
	h, m, s := number(f[0]), number(f[1]), number(f[2])
	fraction, _ := strconv.ParseFloat("0."+f[3]+"0", 64)
	d := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second +
		time.Duration(fraction*1e6+0.5)*time.Microsecond
	return d, m < 60 && s <= 60 && (h < 24 || h == 24 && d == 24*time.Hour) && d <= 24*time.Hour
}

// zoneOf is how far a zone is ahead of UTC.
func zoneOf(s string) (time.Duration, bool) {
	s = strings.ReplaceAll(strings.TrimSpace(s), ":", "")
	if s == "" || s[0] != '+' && s[0] != '-' {
		return 0, true
	}
	padded := (s[1:] + "0000")[:6]
	h, m, sec := number(padded[:2]), number(padded[2:4]), number(padded[4:])
	d := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(sec)*time.Second
	if s[0] == '-' {
		d = -d
	}
	return d, h < 16 && m < 60 && sec < 60
}

// number reads digits, of which there are few.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
