package cdctest

import (
	"regexp"
	"strings"
)

// enumForm is an enum with its labels: mood enum(sad, 'so so').
var enumForm = regexp.MustCompile(`^(\S+) enum ?\((.*)\)$`)

// plainLabel needs no quotes.
var plainLabel = regexp.MustCompile(`^[\pL\pN_-]+$`)

// labelsText are labels as SQL has them, in quotes where they need them.
func labelsText(labels []string) string {
	out := make([]string, len(labels))
	for i, l := range labels {
		if out[i] = l; !plainLabel.MatchString(l) {
			out[i] = "'" + strings.ReplaceAll(l, "'", "''") + "'"
		}
	}
	return strings.Join(out, ", ")
}

// readLabels reads what labelsText writes.
func readLabels(s string) (labels []string) {
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(strings.TrimPrefix(s, ",")) {
		if s[0] != '\'' {
			end := strings.IndexByte(s+",", ',')
			labels, s = append(labels, strings.TrimSpace(s[:end])), s[end:]
			continue
		}
		var b strings.Builder
		i := 1
		for ; i < len(s); i++ {
			if s[i] == '\'' {
				if i+1 == len(s) || s[i+1] != '\'' {
					break
				}
				i++
			}
			b.WriteByte(s[i])
		}
		labels, s = append(labels, b.String()), strings.TrimSpace(s[min(i+1, len(s)):])
	}
	return labels
}
