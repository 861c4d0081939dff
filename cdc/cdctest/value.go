package cdctest

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// mistake says why Postgres would not take a value, and what to write instead.
type mistake struct{ what, hint string }

func (m mistake) Error() string { return m.what }

// space is what Postgres takes no notice of around numbers and times.
const space = " \t\n\r\v\f"

// canonical is the value as Postgres would write it. The error is a mistake. A type that is not known takes anything, as
// text does; lengths, precision and scale are not known.
func canonical(s string, t *cdc.Type) (string, error) {
	for t.Base != nil {
		t = t.Base
	}
	switch {
	case t.Elem != nil:
		return arrayText(s, t)
	case t.Kind == 'e':
		return s, label(s, t)
	case t.Kind != 'b':
		return s, nil
	}
	trimmed := strings.Trim(s, space)
	switch t.Name {
	case "bool":
		return boolean(trimmed)
	case "int2", "int4", "int8", "oid":
		return integer(trimmed, t.Name)
	case "numeric":
		return numeric(trimmed)
	case "float4":
		return float(trimmed, 32)
	case "float8":
		return float(trimmed, 64)
	case "date", "timestamp", "timestamptz":
		return timeText(trimmed, t.Name)
	case "time", "timetz":
		return timeOfDay(trimmed, t.Name)
	case "uuid":
		return uuid(s)
	case "bytea":
		return bytea(s)
	case "json", "jsonb":
		return jsonText(s, t.Name == "jsonb")
	}
	return s, nil
}

// shown is a value in a message.
func shown(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	if strings.ContainsFunc(s, func(c rune) bool { return c == '"' || !unicode.IsPrint(c) }) {
		return strconv.Quote(s)
	}
	return `"` + s + `"`
}

// label checks that an enum has it, where the table's description says which there are.
func label(s string, t *cdc.Type) error {
	if len(t.Labels) == 0 || slices.Contains(t.Labels, s) {
		return nil
	}
	hint := problem.DidYouMean(s, t.Labels)
	if hint == "" {
		hint = "there are: " + strings.Join(t.Labels, ", ")
	}
	return mistake{fmt.Sprintf("%s is no label of the enum %s", shown(s), t.Name), hint}
}

// boolean takes what Postgres does: true, yes, on, 1, and what they begin with.
func boolean(s string) (string, error) {
	lower := strings.ToLower(s)
	begins := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return lower != "" && strings.HasPrefix(w, lower) })
	}
	switch {
	case lower == "1", lower == "on", begins("true", "yes"):
		return "t", nil
	case lower == "0", lower == "of", lower == "off", begins("false", "no"):
		return "f", nil
	}
	return "", mistake{shown(s) + " is not a boolean", "true or false"}
}

// uuid takes capitals, braces, and hyphens behind each four digits or none.
func uuid(s string) (string, error) {
	bad := mistake{shown(s) + " is not a uuid", "such as 0f8fad5b-d9cb-469f-a165-70867728950e: 32 hexadecimal digits"}
	in := s
	if strings.HasPrefix(in, "{") && strings.HasSuffix(in, "}") {
		in = in[1 : len(in)-1]
	}
	var digits []byte
	for i := range len(in) {
		switch {
		case in[i] != '-':
			digits = append(digits, in[i])
		case len(digits) == 0 || len(digits)%4 != 0 || len(digits) == 32 || in[i-1] == '-':
			return "", bad
		}
	}
	b, err := hex.DecodeString(string(digits))
	if err != nil || len(b) != 16 {
		return "", bad
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

// bytea takes hexadecimal digits behind \x, or bytes with \ooo for those that cannot be written.
// https://www.postgresql.org/docs/current/datatype-binary.html
func bytea(s string) (string, error) {
	const hint = `such as '\xdeadbeef': two hexadecimal digits for each byte`
	if digits, ok := strings.CutPrefix(s, `\x`); ok {
		for _, pair := range strings.Fields(digits) {
			if len(pair)%2 != 0 {
				return "", mistake{shown(s) + " is not a bytea: a byte has two digits", hint}
			}
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
		if err != nil {
			return "", mistake{shown(s) + " is not a bytea: it has other signs than hexadecimal digits", hint}
		}
		return `\x` + hex.EncodeToString(b), nil
	}
	var b []byte
	for i := 0; i < len(s); i++ {
		octal := func(n int, most byte) bool { return i+n < len(s) && s[i+n] >= '0' && s[i+n] <= most }
		switch {
		case s[i] != '\\':
			b = append(b, s[i])
		case i+1 < len(s) && s[i+1] == '\\':
			b = append(b, '\\')
			i++
		case octal(1, '3') && octal(2, '7') && octal(3, '7'):
			b = append(b, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
		default:
			return "", mistake{shown(s) + ` is not a bytea: \ has neither x, three octal digits nor another \ behind it`, hint}
		}
	}
	return `\x` + hex.EncodeToString(b), nil
}
