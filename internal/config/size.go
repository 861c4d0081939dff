package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// sizeUnits are the units of a size, largest first of those that divide each other.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// parseSize reads 16MiB, 8GB or plain bytes.
func parseSize(s string) (int64, bool) {
	unit := int64(1)
	for _, u := range sizeUnits {
		if number, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = number, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case !unsigned(s) || err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, false
	case n > math.MaxInt64/unit:
		return math.MaxInt64, true // larger than any bound: said to be too large, not to be no size
	}
	return n * unit, true
}

// showSize writes a size with the unit that makes its number the smallest.
func showSize(n int64) string {
	shown, least := strconv.FormatInt(n, 10), n
	for _, u := range sizeUnits {
		if n%u.bytes == 0 && 0 < n/u.bytes && n/u.bytes < least {
			shown, least = fmt.Sprintf("%d%s", n/u.bytes, u.name), n/u.bytes
		}
	}
	return shown
}

// size is a number of bytes between two bounds, both allowed.
func size(least, most int64) scalar[int64] {
	return scalar[int64]{
		want: "a size",
		hint: "write a number and a unit: 512KiB, 16MiB, 8GB; a bare number is bytes",
		tags: []string{"!!str", "!!int"},
		parse: func(s string) (int64, *mistake) {
			n, ok := parseSize(s)
			switch {
			case !ok:
				return 0, &mistake{is: "is not a size"}
			case n < least:
				return 0, &mistake{is: "is too small", hint: "use at least " + showSize(least)}
			case n > most:
				return 0, &mistake{is: "is too large", hint: "use at most " + showSize(most)}
			}
			return n, nil
		},
		show: func(n int64) any { return showSize(n) },
		json: jsonObject{
			{"type", []any{"string", "integer"}},
			{"pattern", `^\d+([KMGT]iB|[kKMGT]?B)?$`},
			{"examples", []any{"512KiB", "16MiB", "8GB", 1048576}},
		},
		strict: true,
	}
}
