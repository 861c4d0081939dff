package proxy

import (
	"net/http"
	"path"
	"strings"
)

// owner says who answers a path.
type owner int

const (
	theirs owner = iota
	ours
	// doubtful is a path that one of us and the application could read as ours, and the other as the application's.
	doubtful
)

// whose decides on the path as it was sent. Servers differ in what they make of encoded letters, dots, empty segments,
// parameters and backslashes. Where that makes a difference, nobody gets the request: rules of a gateway for one path
// could be passed by writing it as the other.
func (p *Proxy) whose(r *http.Request) owner {
	raw, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(raw, "/") {
		raw = r.URL.EscapedPath() // the absolute form
	}
	first := p.config.Ours(raw)
	if plain(raw) {
		return ownerOf(first)
	}
	for _, s := range [...]string{raw, r.URL.Path} {
		for _, reading := range [...]string{s, clean(s), clean(slashed(s)), clean(unparametered(s)), clean(unparametered(slashed(s)))} {
			if p.config.Ours(reading) != first {
				return doubtful
			}
			beforeHash, _, _ := strings.Cut(reading, "#")
			if p.config.Ours(beforeHash) != first {
				return doubtful
			}
		}
	}
	return ownerOf(first)
}

func ownerOf(isOurs bool) owner {
	if isOurs {
		return ours
	}
	return theirs
}

// plain says that there is one way to read the path.
func plain(s string) bool {
	for i := range len(s) {
		switch s[i] {
		case '%', ';', '\\', '#':
			return false
		case '/':
			if i+1 < len(s) && (s[i+1] == '/' || s[i+1] == '.') {
				return false
			}
		}
	}
	return true
}

// clean resolves dots and empty segments. A slash at the end stays.
func clean(s string) string {
	c := path.Clean("/" + s)
	if c != "/" && (strings.HasSuffix(s, "/") || strings.HasSuffix(s, "/.") || strings.HasSuffix(s, "/..")) {
		c += "/"
	}
	return c
}

func slashed(s string) string { return strings.ReplaceAll(s, `\`, "/") }

// unparametered leaves out what stands behind a semicolon in each segment.
func unparametered(s string) string {
	segments := strings.Split(s, "/")
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	return strings.Join(segments, "/")
}
