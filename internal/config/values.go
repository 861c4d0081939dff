package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/internal/secret"
)

// The values of delivery.ordering.
const (
	// OrderingResource keeps the events of one instance in commit order.
	OrderingResource = "resource"
	// OrderingNone does not: an event that is being retried holds back no other.
	OrderingNone = "none"
)

// matching is text of a pattern; what says what such a text is called.
func matching(what string, pattern *regexp.Regexp, hint string, examples ...any) scalar[string] {
	return scalar[string]{
		want: what,
		parse: func(s string) (string, *mistake) {
			if s == "" {
				return "", &mistake{is: "is empty", hint: hint}
			}
			if !pattern.MatchString(s) {
				return "", &mistake{is: "is not " + what, hint: hint}
			}
			return s, nil
		},
		show:   showText,
		json:   jsonObject{{"type", "string"}, {"pattern", pattern.String()}, {"examples", examples}},
		strict: true,
	}
}

// checked is text that parse approves of.
func checked(what, hint string, check func(string) *mistake, examples ...any) scalar[string] {
	return scalar[string]{
		want: what,
		hint: hint,
		parse: func(s string) (string, *mistake) {
			if s == "" {
				return "", &mistake{is: "is empty"}
			}
			return s, check(s)
		},
		show: showText,
		json: jsonObject{{"type", "string"}, {"examples", examples}},
	}
}

func showText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// truth is true or false.
func truth() scalar[bool] {
	return scalar[bool]{
		want: "true or false",
		tags: []string{"!!bool"},
		hint: "write true or false, without quotes",
		parse: func(s string) (bool, *mistake) {
			switch strings.ToLower(s) {
			case "true":
				return true, nil
			case "false":
				return false, nil
			}
			return false, &mistake{is: "is not true or false"}
		},
		show:   func(b bool) any { return b },
		json:   jsonObject{{"type", "boolean"}},
		strict: true,
	}
}

// count is a whole number between two bounds, both allowed.
func count(least, most int) scalar[int] {
	hint := fmt.Sprintf("write a whole number from %d to %d", least, most)
	return scalar[int]{
		want: "a whole number",
		tags: []string{"!!int"},
		hint: hint,
		parse: func(s string) (int, *mistake) {
			n, err := strconv.Atoi(s)
			if err != nil {
				return 0, &mistake{is: "is not a whole number"}
			}
			if n < least || n > most {
				return 0, &mistake{is: "is out of range"}
			}
			return n, nil
		},
		show:   func(n int) any { return n },
		json:   jsonObject{{"type", "integer"}, {"minimum", least}, {"maximum", most}},
		strict: true,
	}
}

// choice is one of a few words.
func choice(words ...string) scalar[string] {
	allowed := strings.Join(words, ", ")
	enum := make([]any, len(words))
	for i, w := range words {
		enum[i] = w
	}
	return scalar[string]{
		want: "one of " + allowed,
		hint: "allowed are " + allowed,
		parse: func(s string) (string, *mistake) {
			for _, w := range words {
				if s == w {
					return s, nil
				}
			}
			return "", &mistake{is: "is not known here"}
		},
		show:   showText,
		json:   jsonObject{{"enum", enum}},
		strict: true,
	}
}

// network is an IP prefix.
func network() scalar[netip.Prefix] {
	return scalar[netip.Prefix]{
		want: "a network",
		hint: "write a network such as 10.0.0.0/8, or fd00::/8",
		parse: func(s string) (netip.Prefix, *mistake) {
			p, err := netip.ParsePrefix(s)
			if err != nil {
				if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
					return p, &mistake{is: "is an address, not a network", hint: fmt.Sprintf("write %s/%d for this address alone", s, a.BitLen())}
				}
				return p, &mistake{is: "is not a network"}
			}
			if p != p.Masked() {
				return p, &mistake{is: "has bits beyond its length", hint: "write " + p.Masked().String() + " for the whole network"}
			}
			return p, nil
		},
		json: jsonObject{{"type", "string"}, {"examples", []any{"10.0.0.0/8", "192.168.1.7/32", "fd00::/8"}}},
	}
}

// httpURL is the address of an HTTP server, without password, query and fragment.
func httpURL(examples ...any) scalar[string] {
	const hint = "write a URL such as http://127.0.0.1:3000 or https://api.example.com"
	k := checked("a URL", hint, func(s string) *mistake {
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !validPort(u.Port(), true):
			return &mistake{is: "is not an http or https URL"}
		case u.User != nil:
			return &mistake{is: "holds a user or password", hint: "leave them out of the URL"}
		case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
			return &mistake{is: "has a query or fragment", hint: "end the URL before its ? or #"}
		}
		return nil
	}, examples...)
	k.hide = func(s string) bool { return strings.Contains(s, "@") } // it may be wrong for the password in it
	return k
}

// listenAddress is host:port, for net.Listen.
func listenAddress() scalar[string] {
	const hint = "write host:port, such as 127.0.0.1:8477, or :8477 for every interface"
	return checked("a listen address", hint, func(s string) *mistake {
		host, port, err := net.SplitHostPort(s)
		if err != nil || !validPort(port, false) || !validHost(host) {
			return &mistake{is: "is not a listen address"}
		}
		return nil
	}, "127.0.0.1:8477", ":8477")
}

func validPort(s string, empty bool) bool {
	if s == "" {
		return empty
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && unsigned(s) && n <= 65535
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

func validHost(s string) bool {
	if s == "" || hostName.MatchString(s) && strings.Trim(s, "0123456789.") != "" {
		return true
	}
	_, err := netip.ParseAddr(s)
	return err == nil
}

var pathPattern = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// basePath is a path that routes are put under.
func basePath() scalar[string] {
	const hint = "begin with a / and do not end with one: /api/v1"
	k := checked("a path", hint, func(s string) *mistake {
		if !pathPattern.MatchString(s) {
			return &mistake{is: "is not a path to put routes under"}
		}
		for _, taken := range []string{"/healthz", "/readyz", "/metrics"} {
			if s == taken || strings.HasPrefix(s, taken+"/") {
				return &mistake{is: "is taken: " + taken + " is served there", hint: "choose another path, such as /api/v1"}
			}
		}
		return nil
	})
	k.json = jsonObject{{"type", "string"}, {"pattern", pathPattern.String()}, {"examples", []any{"/api/v1"}}}
	k.strict = true
	return k
}

// tokenText is a token of the API.
func tokenText() scalar[secret.String] {
	const hint = "make one with: openssl rand -hex 24"
	return scalar[secret.String]{
		want:   "text",
		secret: true,
		parse: func(s string) (secret.String, *mistake) {
			switch {
			case s == "":
				return "", &mistake{is: "is empty", hint: hint}
			case len([]rune(s)) < 16:
				return "", &mistake{is: "is shorter than 16 characters", hint: hint}
			case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
				return "", &mistake{is: "holds a space, a line break or a letter beyond ASCII", hint: hint}
			}
			return secret.String(s), nil
		},
		json: jsonObject{{"type", "string"}, {"examples", []any{"${env:ROWHOOK_TOKEN}", "${file:/run/secrets/rowhook-token}"}}},
	}
}

// sealingKey is a key that seals what the store keeps.
func sealingKey() scalar[secret.String] {
	return scalar[secret.String]{
		want:   "text",
		secret: true,
		parse: func(s string) (secret.String, *mistake) {
			if _, err := seal.ParseKey(secret.String(s)); err != nil {
				return "", &mistake{is: err.Error(), hint: "make one with: openssl rand -base64 32"}
			}
			return secret.String(s), nil
		},
		json: jsonObject{{"type", "string"}, {"examples", []any{"${env:ROWHOOK_KEY}", "${file:/run/secrets/rowhook-key}"}}},
	}
}
