package cdctest

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

var (
	integerForm = regexp.MustCompile(`^[+-]?[0-9]+$`)
	// numberForm has the sign, the digits before and behind the point, and the exponent.
	numberForm = regexp.MustCompile(`^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?$`)
)

// ranges are those of the integers.
var ranges = map[string]struct {
	min, max int64
	name     string
}{
	"int2": {math.MinInt16, math.MaxInt16, "smallint"}, "int4": {math.MinInt32, math.MaxInt32, "integer"},
	"int8": {math.MinInt64, math.MaxInt64, "bigint"}, "oid": {math.MinInt32, math.MaxUint32, "oid"},
}

func integer(s, typ string) (string, error) {
	r := ranges[typ]
	if !integerForm.MatchString(s) {
		return "", mistake{fmt.Sprintf("%s is not of the type %s", shown(s), r.name), "digits alone, or null"}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < r.min || n > r.max {
		return "", mistake{fmt.Sprintf("%s is out of range for the type %s", shown(s), r.name), fmt.Sprintf("it is from %d to %d", r.min, r.max)}
	}
	if typ == "oid" {
		n = int64(uint32(n))
	}
	return strconv.FormatInt(n, 10), nil
}

// special is NaN or an infinity as Postgres writes it.
func special(s string) (string, bool) {
	switch strings.ToLower(s) {
	case "nan":
		return "NaN", true
	case "inf", "infinity", "+inf", "+infinity":
		return "Infinity", true
	case "-inf", "-infinity":
		return "-Infinity", true
	}
	return "", false
}

// Bounds of what numeric can hold. https://www.postgresql.org/docs/current/datatype-numeric.html
const (
	maxWhole = 131_072
	maxScale = 16_383
)

// numeric keeps the digits, and writes an exponent out.
func numeric(s string) (string, error) {
	if word, ok := special(s); ok {
		return word, nil
	}
	f := numberForm.FindStringSubmatch(s)
	if f == nil || f[2]+f[3] == "" {
		return "", mistake{shown(s) + " is not a numeric", "such as 12.30, or null"}
	}
	whole, fraction := f[2], f[3]
	if f[4] != "" {
		e, err := strconv.Atoi(f[4])
		if err != nil || e > maxWhole || e < -maxScale {
			return "", mistake{shown(s) + " is out of range for the type numeric", fmt.Sprintf("it has up to %d digits before the point, and %d behind it", maxWhole, maxScale)}
		}
		if n := e - len(fraction); n > 0 {
			fraction += strings.Repeat("0", n)
		}
		if n := -e - len(whole); n > 0 {
			whole = strings.Repeat("0", n) + whole
		}
		digits, point := whole+fraction, len(whole)+e
		whole, fraction = digits[:point], digits[point:]
	}
	whole = strings.TrimLeft(whole, "0")
	if len(whole) > maxWhole || len(fraction) > maxScale {
		return "", mistake{shown(s) + " is out of range for the type numeric", fmt.Sprintf("it has up to %d digits before the point, and %d behind it", maxWhole, maxScale)}
	}
	out := whole
	if out == "" {
		out = "0"
	}
	if fraction != "" {
		out += "." + fraction
	}
	if f[1] == "-" && strings.Trim(whole+fraction, "0") != "" {
		out = "-" + out
	}
	return out, nil
}

// float is the shortest text that is read as the same number.
func float(s string, bits int) (string, error) {
	name, fixed, span := "double precision", 15, "from 5e-324 to 1.7e308"
	if bits == 32 {
		name, fixed, span = "real", 6, "from 1e-45 to 3.4e38"
	}
	if word, ok := special(s); ok {
		return word, nil
	}
	f := numberForm.FindStringSubmatch(s)
	if f == nil || f[2]+f[3] == "" {
		return "", mistake{fmt.Sprintf("%s is not of the type %s", shown(s), name), "such as 1.5, or null"}
	}
	n, err := strconv.ParseFloat(s, bits)
	if err != nil || n == 0 && strings.Trim(f[2]+f[3], "0") != "" {
		return "", mistake{fmt.Sprintf("%s is out of range for the type %s", shown(s), name), "it is 0 or " + span + ", with either sign; or Infinity"}
	}
	out := strconv.FormatFloat(n, 'e', -1, bits)
	digits, exponent, _ := strings.Cut(out, "e")
	if e, _ := strconv.Atoi(exponent); e >= -4 && e < fixed {
		return strconv.FormatFloat(n, 'f', -1, bits), nil
	}
	_, fraction, _ := strings.Cut(digits, ".")
	for more := len(fraction) + 1; between(n, out, bits); more++ {
		out = strconv.FormatFloat(n, 'e', more, bits)
	}
	return out, nil
}

// between says that a text is as near to the float as to its neighbour. Go takes it for the shortest one, Postgres does not.
func between(n float64, text string, bits int) bool {
	exact, ok := new(big.Rat).SetString(text)
	if !ok {
		return false
	}
	for _, to := range []float64{math.Inf(-1), math.Inf(1)} {
		next := math.Nextafter(n, to)
		if bits == 32 {
			next = float64(math.Nextafter32(float32(n), float32(to)))
		}
		if math.IsInf(next, 0) {
			continue
		}
		sum := new(big.Rat).Add(new(big.Rat).SetFloat64(n), new(big.Rat).SetFloat64(next))
		if sum.Cmp(new(big.Rat).Add(exact, exact)) == 0 {
			return true
		}
	}
	return false
}
