package schema

import "regexp"

// The patterns that are used here are the same in RE2 as in the dialect of JSON Schema.
func matches(pattern, text string) bool {
	ok, err := regexp.MatchString(pattern, text)
	return ok && err == nil
}
