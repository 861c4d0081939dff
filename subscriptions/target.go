package subscriptions

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/rowhook/rowhook/internal/secret"
)

// Policy rules the targets that subscriptions may name.
type Policy struct {
	// AllowHTTP lets targets be http, not only https.
	AllowHTTP bool
	// CheckAddress says why an address may not be sent to. It is asked for literal addresses, and for a loopback address
	// where the host is localhost; names are checked when dialled. Nil refuses all of them.
	CheckAddress func(netip.Addr) error
	// Config says that callers may change the config, and are told which of its keys would allow what is refused.
	Config bool
}

// mend is err with the config's key that mends it, where that is the caller's.
func (p Policy) mend(err error, key string) error {
	if !p.Config {
		return err
	}
	return fmt.Errorf("%w; or allow it by delivery.%s in the config", err, key)
}

// hidden stands for the credentials of a URL that is shown.
const hidden = "***"

// ShownTarget is the target URL with its credentials, if any, replaced by ***.
func (s *Subscription) ShownTarget() string { return shownURL(s.TargetURL) }

func shownURL(u secret.String) string {
	text := u.Reveal()
	at, end := userinfo(text)
	if end < 0 {
		return text
	}
	// Not by net/url, which would write the stars, and much else, in another way than the owner did.
	return text[:at] + hidden + text[end:]
}

// TargetHost is the host of the target in lower case, without a port.
func (s *Subscription) TargetHost() string {
	u, err := url.Parse(s.TargetURL.Reveal())
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// userinfo is where the credentials of a URL begin and end (at the @); end is -1 when there are none.
func userinfo(text string) (begin, end int) {
	scheme := strings.Index(text, "://")
	if scheme < 0 {
		return 0, -1
	}
	begin = scheme + len("://")
	authority := text[begin:]
	if i := strings.IndexAny(authority, `/?#\`); i >= 0 {
		authority = authority[:i]
	}
	end = strings.LastIndexByte(authority, '@')
	if end < 0 {
		return begin, -1
	}
	return begin, begin + end
}

// Check says what is wrong with a target URL. The error shows at most its host: the rest may be secret.
func (p Policy) Check(target string) error {
	if len(target) > maxTarget {
		return fmt.Errorf("has more than %d bytes", maxTarget)
	}
	for _, r := range target {
		if r <= ' ' || r == 0x7f || r == '\\' {
			return errors.New(`holds a space, a control character or a backslash: write it as %20, or leave it out`)
		}
	}
	if strings.Contains(target, "#") {
		return errors.New("has a fragment, which is never sent: leave out # and what follows")
	}
	u, err := url.Parse(target)
	if err != nil || u.Opaque != "" {
		return errors.New("is not a URL such as https://example.com/hooks")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && p.AllowHTTP:
	case u.Scheme == "http":
		return p.mend(errors.New("is http: give an https URL"), "allow_http")
	case u.Scheme != "" && u.Host != "":
		return fmt.Errorf("is %s: give an https URL", quote(u.Scheme))
	default:
		return errors.New("is not absolute: give one such as https://example.com/hooks")
	}
	if u.User != nil {
		if user := u.User.Username(); user == hidden {
			return errors.New("has *** for its credentials: give them again, or leave them out")
		}
	}
	if err := checkPort(u); err != nil {
		return err
	}
	return p.checkHost(u)
}

func checkPort(u *url.URL) error {
	if strings.HasSuffix(u.Host, ":") {
		return errors.New("has an empty port: leave out the colon")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("has port %s: ports are 1 to 65535", quote(port))
		}
	}
	return nil
}

// checkHost takes a name that resolvers would read as an address for one, in whatever notation: what netip does not
// understand is refused, because somebody else might.
func (p Policy) checkHost(u *url.URL) error {
	host := strings.ToLower(u.Hostname())
	if host == "" {
		return errors.New("has no host: give one such as https://example.com/hooks")
	}
	if strings.HasPrefix(u.Host, "[") || strings.Contains(host, ":") {
		return p.checkLiteral(host)
	}
	name := strings.TrimSuffix(host, ".")
	if len(name) > 253 {
		return errors.New("has a host of more than 253 characters")
	}
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if !isLabel(l) {
			return fmt.Errorf("has host %s: names are letters, digits and hyphens (xn--… for others)", quote(host))
		}
	}
	last := labels[len(labels)-1]
	if isNumeric(last) {
		// The dot goes with it: netip takes none at the end.
		return p.checkLiteral(host)
	}
	if last == "localhost" || name == "localhost.localdomain" {
		loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if p.CheckAddress == nil {
			return errors.New("is on this machine: give a public address")
		}
		if err := p.CheckAddress(loopback); err != nil {
			return p.mend(fmt.Errorf("has host %s: %w", quote(host), err), "allow_networks")
		}
	}
	return nil
}

func (p Policy) checkLiteral(host string) error {
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return fmt.Errorf("has host %s, which is not an address such as 203.0.113.7 or [2001:db8::7]", quote(host))
	}
	if p.CheckAddress == nil {
		return fmt.Errorf("has the literal address %s: give a name", addr)
	}
	if err := p.CheckAddress(addr.Unmap()); err != nil {
		return p.mend(err, "allow_networks") // it names the address
	}
	return nil
}

func isLabel(l string) bool {
	if l == "" || len(l) > 63 {
		return false
	}
	for i := range len(l) {
		c := l[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// isNumeric says whether a host that ends in this label is an address: all digits, or 0x and hex digits.
// https://url.spec.whatwg.org/#ends-in-a-number-checker
func isNumeric(l string) bool {
	digits, isHex := strings.CutPrefix(l, "0x")
	for i := range len(digits) {
		c := digits[i]
		if !(c >= '0' && c <= '9' || isHex && c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
