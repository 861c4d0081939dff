package compare

import (
	"encoding/json"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// hint says what would make two values equal, where that is plain.
func hint(ours, theirs any) string {
	switch a := ours.(type) {
	case string:
		switch b := theirs.(type) {
		case json.Number:
			return textAndNumber(a, string(b))
		case string:
			return texts(a, b)
		}
	case json.Number:
		if b, ok := theirs.(string); ok {
			return numberAndText(string(a), b)
		}
	}
	return ""
}

func textAndNumber(ours, theirs string) string {
	x, ok := rational(ours)
	switch {
	case ok && !matches(ours, theirs, x):
		return ""
	case ok && x.IsInt() && !strings.Contains(ours, "."):
		return "json: {bigint: number} for a bigint, {numeric: number} for a numeric, ${int(…)} for a text"
	case ok:
		return "json: {numeric: number}"
	case strings.HasPrefix(ours, "P"):
		return "json: {interval: seconds}"
	}
	return ""
}

func matches(ours, theirs string, x *big.Rat) bool {
	y, ok := rational(theirs)
	return ours == theirs || ok && x.Cmp(y) == 0
}

func numberAndText(ours, theirs string) string {
	x, ok1 := rational(ours)
	y, ok2 := rational(theirs)
	switch {
	case !ok1 || !ok2 || x.Cmp(y) != 0:
		return ""
	case strings.ContainsAny(ours+theirs, "."):
		return "json: {numeric: string}"
	}
	return "json: {bigint: string} for a bigint, ${string(…)} for another integer"
}

var (
	stamp    = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.(\d+))?(Z|[+-]\d{2}:?\d{2})?$`)
	day      = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	hyphens  = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	unplain  = regexp.MustCompile(`^[0-9a-f]{32}$`)
	decimals = regexp.MustCompile(`^-?\d+(\.\d+)?$`)
	clock    = regexp.MustCompile(`^(\d+ )?\d{2}:\d{2}:\d{2}(\.\d+)?$`)
)

func texts(ours, theirs string) string {
	switch {
	case stamp.MatchString(ours) && stamp.MatchString(theirs):
		return stamps(stamp.FindStringSubmatch(ours), stamp.FindStringSubmatch(theirs))
	case day.MatchString(ours) && strings.HasPrefix(theirs, ours+"T00:00:00"):
		return "json: {date: timestamp}"
	case day.MatchString(theirs) && strings.HasPrefix(ours, theirs+"T00:00:00"):
		return "json: {date: date}"
	case hyphens.MatchString(ours) && strings.ReplaceAll(ours, "-", "") == theirs:
		return "json: {uuid: plain}"
	case unplain.MatchString(ours) && strings.ReplaceAll(theirs, "-", "") == ours:
		return "json: {uuid: hyphens}"
	case decimals.MatchString(ours) && decimals.MatchString(theirs) && sameNumber(ours, theirs):
		if len(theirs) < len(ours) {
			return "json: {numeric: trimmed}, or ${fixed(…, 2)} for a number of digits"
		}
		return "json: {numeric: string}, or ${fixed(…, 2)} for a number of digits"
	case strings.HasPrefix(ours, "P") && clock.MatchString(theirs):
		return "json: {interval: clock}"
	case strings.TrimRight(ours, " ") == theirs:
		return "a char(n) is sent with its padding: ${trim(…)}"
	case strings.EqualFold(ours, theirs) && theirs == strings.ToLower(theirs):
		return "${lower(…)}"
	case strings.EqualFold(ours, theirs) && theirs == strings.ToUpper(theirs):
		return "${upper(…)}"
	}
	return ""
}

// stamps compares two timestamps: day, time, fraction and zone.
func stamps(ours, theirs []string) string {
	a, b := instant(ours), instant(theirs)
	digits := min(len(ours[3]), len(theirs[3]))
	unit := time.Second
	for range min(digits, 9) {
		unit /= 10
	}
	if !a.Truncate(unit).Equal(b.Truncate(unit)) {
		return ""
	}
	var rules []string
	if ours[3] != theirs[3] {
		switch fraction := theirs[3]; {
		case len(fraction) == 6:
			rules = append(rules, "timestamp: microseconds")
		case len(fraction) == 3 && strings.HasPrefix(ours[3], fraction):
			rules = append(rules, "timestamp: milliseconds")
		case fraction == "" && strings.Trim(ours[3], "0") == "":
			// One value does not tell what the others are.
			return "json: {timestamp: isoformat}, as Django and Python write it, or trimmed, or seconds" + zone(ours[4], theirs[4])
		case fraction == "":
			rules = append(rules, "timestamp: seconds")
		default:
			rules = append(rules, "timestamp: trimmed")
		}
	}
	if ours[4] == "" && theirs[4] == "Z" {
		rules = append(rules, "timestamp_zone: utc")
	} else if told := zone(ours[4], theirs[4]); told != "" {
		if len(rules) == 0 {
			return strings.TrimPrefix(told, "; ")
		}
		return "json: {" + strings.Join(rules, ", ") + "}" + told
	}
	if len(rules) == 0 {
		return ""
	}
	return "json: {" + strings.Join(rules, ", ") + "}"
}

// zone says what to do about two ways of writing a zone.
func zone(ours, theirs string) string {
	switch {
	case ours == theirs:
		return ""
	case theirs == "+00:00":
		return "; the preset fastapi writes +00:00 for Z"
	case theirs == "Z" && ours == "+00:00":
		return "; all presets but fastapi write Z"
	case theirs == "":
		return "; the column is a timestamptz, and the API leaves the zone out: ${strftime(…, \"%Y-%m-%dT%H:%M:%S\")}"
	}
	return "; the same moment in another zone: ${strftime(….In(timezone(\"Europe/Berlin\")), \"…\")}"
}

func instant(m []string) time.Time {
	text, layout := m[1]+"T"+m[2]+"."+(m[3]+"0"), "2006-01-02T15:04:05.999999999"
	if m[4] != "" {
		text, layout = text+strings.Replace(m[4], "Z", "+00:00", 1), layout+"Z07:00"
		if !strings.Contains(m[4], ":") && m[4] != "Z" {
			layout = strings.Replace(layout, "Z07:00", "Z0700", 1)
		}
	}
	t, err := time.Parse(layout, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// envelope finds what an answer is wrapped in: the members that lead to an object which has more of our names than the
// answer itself.
func envelope(ours, theirs map[string]any) string {
	shared := func(m map[string]any) (n int) {
		for name := range ours {
			if _, ok := m[name]; ok {
				n++
			}
		}
		return n
	}
	best, path := shared(theirs), ""
	var look func(m map[string]any, at string, depth int)
	look = func(m map[string]any, at string, depth int) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			inner, ok := m[name].(map[string]any)
			if !ok || strings.Contains(name, ".") {
				continue
			}
			to := name
			if at != "" {
				to = at + "." + name
			}
			if n := shared(inner); n > best {
				best, path = n, to
			}
			if depth < 2 {
				look(inner, to, depth+1)
			}
		}
	}
	look(theirs, "", 0)
	return path
}

// overlap says whether two objects have a name in common.
func overlap(a, b map[string]any) bool {
	for name := range a {
		if _, ok := b[name]; ok {
			return true
		}
	}
	return false
}

// otherCase tells of a member that the other side has in another case.
func otherCase(name string, in, other map[string]any) string {
	for _, theirs := range slices.Sorted(maps.Keys(other)) {
		if _, both := in[theirs]; both || theirs == name || letters(theirs) != letters(name) {
			continue
		}
		return "the API calls it " + theirs + ": json: {keys: " + caseOf(theirs) + "} for columns, or call it so in the representation"
	}
	return ""
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

func caseOf(name string) string {
	switch {
	case strings.Contains(name, "-"):
		return "kebab"
	case strings.Contains(name, "_"):
		return "snake"
	case name != "" && unicode.IsUpper([]rune(name)[0]):
		return "pascal"
	case strings.ToLower(name) != name:
		return "camel"
	}
	return "snake"
}
