package application

import (
	"strings"

	"github.com/rowhook/rowhook/mapping"
)

// Location returns what tells the URL of an instance under app.public_url, by its key alone: empty where that does not give
// it. It may be used by several goroutines at once.
func Location(publicURL string, m *mapping.Mapper) func(resource, instance string) string {
	if publicURL == "" || m == nil {
		return func(string, string) string { return "" }
	}
	base, paths := strings.TrimRight(publicURL, "/"), m.Locator()
	return func(resource, instance string) string {
		path := paths.Path(resource, instance)
		if path == "" {
			return ""
		}
		return base + path
	}
}
