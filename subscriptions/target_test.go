package subscriptions_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// publicOnly refuses what is not global, as the sender's guard does more thoroughly.
func publicOnly(a netip.Addr) error {
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return errors.New("not a public address")
	}
	return nil
}

func TestPolicyChecksTargets(t *testing.T) {
	t.Parallel()
	strict := subscriptions.Policy{CheckAddress: publicOnly}
	for target, want := range map[string]string{ // part of the error; empty: taken
		"https://example.com/hooks":             "",
		"HTTPS://Example.COM":                   "",
		"https://example.com.:8443/a?b=c":       "",
		"https://user:pass@example.com/":        "",
		"https://xn--bcher-kva.example/":        "",
		"https://8.8.8.8/":                      "",
		"https://[2606:4700::1111]:443/":        "",
		"https://intranet/hooks":                "",
		"https://1.example/":                    "",
		"https://0xy.example.x1/":               "",
		"http://example.com/":                   "is http",
		"ftp://example.com/":                    `is "ftp": give an https URL`,
		"example.com/hooks":                     "not absolute",
		"//example.com/hooks":                   "not absolute",
		"/hooks":                                "not absolute",
		"":                                      "not absolute",
		"https:example.com":                     "not a URL",
		"https://":                              "no host",
		"https:///hooks":                        "no host",
		"https://:443/":                         "no host",
		"https://user@/":                        "no host",
		"https://example.com/#x":                "fragment",
		"https://example.com/#":                 "fragment",
		"https://example.com:0/":                "port",
		"https://example.com:65536/":            "port",
		"https://example.com:/":                 "empty port",
		"https://example.com:80a/":              "not a URL",
		"https://exa mple.com/":                 "space",
		"https://example.com/a b":               "space",
		"https://example.com/\x00":              "control",
		"https://example.com\\@evil.example/":   `backslash`,
		"https://bücher.example/":               "xn--",
		"https://１２７.0.0.1/":                    "xn--",
		"https://a..b/":                         "host",
		"https://example.com../":                "host",
		"https://" + strings.Repeat("a", 64):    "host",
		"https://***@example.com/":              "***",
		"https://***:x@example.com/":            "***",
		"https://localhost/":                    "not a public address",
		"https://LOCALHOST./":                   "not a public address",
		"https://a.localhost/":                  "not a public address",
		"https://localhost.localdomain/":        "not a public address",
		"https://127.0.0.1/":                    "not a public address",
		"https://10.1.2.3:8443/":                "not a public address",
		"https://169.254.169.254/latest/":       "not a public address",
		"https://[::1]/":                        "not a public address",
		"https://[::ffff:127.0.0.1]/":           "not a public address",
		"https://[::ffff:7f00:1]/":              "not a public address",
		"https://[fe80::1%25eth0]/":             "not an address",
		"https://2130706433/":                   "not an address",
		"https://0x7f000001/":                   "not an address",
		"https://0X7F.1/":                       "not an address",
		"https://0x7f.1/":                       "not an address",
		"https://127.1/":                        "not an address",
		"https://0177.0.0.1/":                   "not an address",
		"https://127.0.0.1./":                   "not an address",
		"https://127.0.0.0x1/":                  "not an address",
		"https://127.0.0.0x/":                   "not an address",
		"https://1.2.3.4.5/":                    "not an address",
		"https://example.1/":                    "not an address",
		"https://%31%32%37.0.0.1/":              "not a URL",
		"https://example.com%00.evil/":          "not a URL",
		"https://" + strings.Repeat("a/", 1000): "2000 bytes",
	} {
		err := strict.Check(target)
		switch {
		case want == "" && err != nil:
			t.Errorf("Check(%q) = %v", target, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("Check(%q) = %v, want …%s…", target, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "pass") {
			t.Errorf("Check(%q) shows the credentials: %v", target, err)
		}
	}
	loose := subscriptions.Policy{AllowHTTP: true, CheckAddress: func(netip.Addr) error { return nil }}
	for _, target := range []string{"http://localhost:3000/", "http://127.0.0.1/", "http://[::1]:1/", "https://10.0.0.1/"} {
		if err := loose.Check(target); err != nil {
			t.Errorf("where allowed, Check(%q) = %v", target, err)
		}
	}
	for _, target := range []string{"https://localhost/", "https://8.8.8.8/"} {
		if (subscriptions.Policy{}).Check(target) == nil {
			t.Errorf("the zero policy takes %q", target)
		}
	}
}

func TestShownTargetHidesCredentials(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"https://example.com/a@b?c=d@e":      "https://example.com/a@b?c=d@e",
		"https://user:p%40ss@example.com/x":  "https://***@example.com/x",
		"https://user@example.com":           "https://***@example.com",
		"https://u:p@ss@example.com?x=y@z":   "https://***@example.com?x=y@z",
		"https://@example.com/":              "https://***@example.com/",
		"HTTPS://user:pass@EXAMPLE.com:1/%7": "HTTPS://***@EXAMPLE.com:1/%7",
		"":                                   "",
	} {
		s := &sub{TargetURL: secret.String(target)}
		if got := s.ShownTarget(); got != want {
			t.Errorf("ShownTarget(%q) = %q, want %q", target, got, want)
		}
	}
}

// TestTargetsTellWhoMayChangeTheConfig: the operator is told which key allows what is refused, customers are not.
func TestTargetsTellWhoMayChangeTheConfig(t *testing.T) {
	t.Parallel()
	refused := func(netip.Addr) error { return errors.New("is not a public address") }
	for _, c := range []struct{ target, key string }{
		{"http://example.com/", "delivery.allow_http"}, {"https://localhost/", "delivery.allow_networks"}, {"https://127.0.0.1/", "delivery.allow_networks"},
	} {
		if err := (subscriptions.Policy{CheckAddress: refused, Config: true}).Check(c.target); err == nil || !strings.Contains(err.Error(), "; or allow it by "+c.key+" in the config") {
			t.Errorf("%s: %v", c.target, err)
		}
		if err := (subscriptions.Policy{CheckAddress: refused}).Check(c.target); err == nil || strings.Contains(err.Error(), "config") {
			t.Errorf("%s: %v", c.target, err)
		}
	}
}
