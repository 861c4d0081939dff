package config

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rowhook/rowhook/internal/secret"
)

var tokenName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// accountText refuses what no account is called.
func accountText(s string) *mistake {
	if strings.TrimSpace(s) != s || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return &mistake{is: "begins or ends with a space, or holds a control character", hint: "write the account as the resource's account gives it"}
	}
	return nil
}

// checkTokens refuses callers that cannot be told apart.
func checkTokens(d *decoder, v value, tokens []Token) {
	names, texts := map[string]int{}, map[secret.String]int{}
	for i, t := range tokens {
		path := item(v.path, i)
		if first, twice := names[t.Name]; twice && t.Name != "" {
			n := d.notes[path+".name"]
			d.add(n.at, "give each token a name of its own", "%s.name: %s is the name of %s too", path, n.shown, item(v.path, first))
		} else {
			names[t.Name] = i
		}
		if first, twice := texts[t.Token]; twice && t.Token != "" {
			d.add(d.notes[path+".token"].at, "make another one with: openssl rand -hex 24", "%s.token is the same as that of %s", path, item(v.path, first))
		} else {
			texts[t.Token] = i
		}
	}
}

// minMaxBody is the least bound of a message.
const minMaxBody = 1 << 10

// checkDelivery keeps what customers may reach within what the admin may, and debounce either off or of some use.
func checkDelivery(d *decoder, v value, c *Delivery) {
	if c.Debounce > 0 && c.Debounce < time.Second && !d.bad[v.path+".debounce"] {
		n := d.notes[v.path+".debounce"]
		d.add(n.at, "use at least 1s, or 0s for not at all", "%s.debounce: %s is too short", v.path, n.shown)
	}
	if n, known := d.notes[v.path+".max_body"]; known && 0 < c.MaxBody && c.MaxBody < minMaxBody {
		d.add(n.at, "use at least 1KiB, or 0 for any size", "%s.max_body: %s has no room for what is left of a message", v.path, n.shown)
	}
	if c.Accounts.AllowHTTP && !c.Targets.AllowHTTP && !d.bad[v.path+".allow_http"] {
		d.add(d.notes[v.path+".accounts.allow_http"].at, "set delivery.allow_http to true too, or leave this out",
			"%s.accounts.allow_http allows customers what %s.allow_http refuses the admin", v.path, v.path)
	}
	for i, p := range c.Accounts.AllowNetworks {
		path := item(v.path+".accounts.allow_networks", i)
		within := slices.ContainsFunc(c.Targets.AllowNetworks, func(wide netip.Prefix) bool {
			return wide.Bits() <= p.Bits() && wide.Contains(p.Addr())
		})
		if n, known := d.notes[path]; known && p.IsValid() && !within && !d.anyBad(v.path+".allow_networks") {
			d.add(n.at, "add it to delivery.allow_networks too, or leave it out",
				"%s: %s is not within delivery.allow_networks", path, n.shown)
		}
	}
}

func checkStore(d *decoder, v value, s *Store) {
	if len(s.PreviousKeys) > 0 && s.EncryptionKey == "" && !d.bad[v.path+".encryption_key"] {
		d.add(d.notes[item(v.path+".previous_encryption_keys", 0)].at, "name the one to seal with as encryption_key",
			"%s.previous_encryption_keys opens what %s.encryption_key is to seal again, which is not there", v.path, v.path)
	}
}

// checkProxy wants to know where all goes that is not rowhook's.
func checkProxy(d *decoder, _ value, c *Config) {
	if c.Proxy.Listen == "" {
		return
	}
	if c.App.URL == "" {
		if !d.anyBad("app") {
			d.add(d.notes["proxy.listen"].at, "add app: {url: http://127.0.0.1:3000}, or leave proxy out", "proxy needs app.url, the address of the application")
		}
		return
	}
	if c.Proxy.Listen == c.API.Listen && !strings.HasSuffix(c.API.Listen, ":0") {
		d.add(d.notes["proxy.listen"].at, "choose another port for one of them", "proxy.listen is api.listen: %s", c.API.Listen)
	}
	u, err := url.Parse(c.App.URL)
	if err != nil {
		return
	}
	n := d.notes["app.url"]
	if strings.Trim(u.Path, "/") != "" {
		d.add(n.at, "end it behind the host, and begin the path of each resource with the rest", "app.url: %s has a path, and the proxy passes paths on as they are", n.shown)
	}
	if listensAt(c.Proxy.Listen, u) {
		d.add(n.at, "give the address at which the application itself listens", "app.url: %s is proxy.listen: the proxy would ask itself", n.shown)
	}
}

// listensAt says whether the address of a listener is surely that of u, on the same machine.
func listensAt(listen string, u *url.URL) bool {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || u.Scheme != "http" || port != cmp.Or(u.Port(), "80") {
		return false
	}
	at, _ := netip.ParseAddr(host)
	asked, _ := netip.ParseAddr(u.Hostname())
	local := u.Hostname() == "localhost"
	switch {
	case host == "" || at.IsValid() && at.IsUnspecified():
		return local || asked.IsLoopback()
	case at.IsLoopback() && local:
		return true
	}
	return host == u.Hostname()
}

// anyBad says whether something under a path was complained of, so that what is missing from it proves nothing.
func (d *decoder) anyBad(path string) bool {
	for k := range d.bad {
		if s, ok := k.(string); ok && strings.HasPrefix(s, path) {
			return true
		}
	}
	return false
}
