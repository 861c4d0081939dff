package mapping

import (
	"fmt"
	"math/big"
	"strings"

	"gopkg.in/yaml.v3"
)

// literalJSON is a scalar without ${…} as JSON of its YAML type. Numbers keep their digits, which a decode into Go's
// numbers would not.
func literalJSON(n *yaml.Node) ([]byte, error) {
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp":
		return appendString(nil, n.Value), nil
	case "!!null":
		return []byte("null"), nil
	case "!!bool":
		return []byte(strings.ToLower(n.Value)), nil
	case "!!int":
		return literalInt(n.Value)
	case "!!float":
		return literalFloat(n.Value)
	default:
		return nil, fmt.Errorf("the YAML tag %s has no JSON form", tag)
	}
}

func literalInt(s string) ([]byte, error) {
	s = strings.ReplaceAll(s, "_", "")
	s = strings.TrimPrefix(s, "+")
	if validNumber([]byte(s)) {
		return []byte(s), nil
	}
	// Hexadecimal, octal and binary have no JSON form of their own.
	if i, ok := new(big.Int).SetString(s, 0); ok {
		return []byte(i.String()), nil
	}
	return nil, fmt.Errorf("%s is not an integer", s)
}

func literalFloat(s string) ([]byte, error) {
	digits := strings.TrimPrefix(strings.ReplaceAll(s, "_", ""), "+")
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	mantissa, exponent := digits, ""
	if i := strings.IndexAny(digits, "eE"); i >= 0 {
		mantissa, exponent = digits[:i], digits[i:]
	}
	whole, fraction, point := strings.Cut(mantissa, ".")
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	if point {
		if fraction == "" {
			fraction = "0"
		}
		fraction = "." + fraction
	}
	json := sign + whole + fraction + exponent
	if !validNumber([]byte(json)) {
		return nil, fmt.Errorf("%s has no JSON form", s)
	}
	return []byte(json), nil
}
