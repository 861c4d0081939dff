package subscriptions

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes that is written like 256KiB in JSON.
type Size int64

// sizeUnits are those that are read, the largest binary one first: these are written too.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// String writes the size with the largest binary unit that leaves a whole number.
func (n Size) String() string {
	for _, u := range sizeUnits[:4] {
		if n != 0 && int64(n)%u.bytes == 0 {
			return strconv.FormatInt(int64(n)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(n), 10) + "B"
}

// MarshalText writes the size like 256KiB.
func (n Size) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads a size such as 256KiB, 1MB or 4096.
func (n *Size) UnmarshalText(b []byte) error {
	v, ok := parseSize(string(b))
	if !ok {
		return fmt.Errorf("%q is not a size such as 256KiB or 1MB", b)
	}
	*n = v
	return nil
}

func parseSize(text string) (Size, bool) {
	unit := int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			text, unit = rest, u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n > math.MaxInt64/uint64(unit) {
		return 0, false
	}
	return Size(int64(n) * unit), true
}

// readSize reads a text such as 256KiB, or a number of bytes, between the bounds.
func readSize(m *mistakes, at string, v any, least, most Size) Size {
	if n, ok := wholeNumber(v); ok {
		v = strconv.Itoa(n)
	}
	text, ok := v.(string)
	if !ok {
		m.add(at, `is %s: give a size such as "256KiB"`, kindOf(v))
		return 0
	}
	n, ok := parseSize(text)
	switch {
	case !ok:
		m.add(at, `is %s: give a size such as "256KiB" or "1MB"`, quote(text))
	case n < least || n > most:
		m.add(at, "is %s: give %s to %s", quote(text), least, most)
	default:
		return n
	}
	return 0
}
