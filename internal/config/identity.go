package config

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/identity"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
)

var identityObject = object[identity.Config]{
	closed: true,
	check:  checkIdentity,
	members: []member[identity.Config]{
		key("path", questionPath(), func(c *identity.Config) *string { return &c.Path },
			"A route of the application that says who is logged in, and answers 401 to who is not. It is asked under app.url, by GET, with the caller's own credentials and none of rowhook's. Its answer is a JSON object of at most 1 MiB."),
		key("account", formula("account.id", "account.id"), func(c *identity.Config) **mapping.Source { return &c.Account },
			"With path: expression over its answer that gives the customer, as the account of the resources gives it. A caller without one is refused."),
		key("allow", formula(`role in ["owner", "admin"]`, `role in ["owner", "admin"]`), func(c *identity.Config) **mapping.Source { return &c.Allow },
			"With path: condition over its answer under which the caller may write; others may read. Default: all may write."),
		key("headers", list[string]{item: headerNameText("Authorization", "X-Api-Key"), max: 10, show: func(s string) any { return s }},
			func(c *identity.Config) *[]string { return &c.Headers },
			"With path: the caller's headers that are credentials. Whoever sends none of them is not asked about."),
		key("cache", duration(0, identity.DefaultCache), func(c *identity.Config) *time.Duration { return &c.Cache },
			"With path: how long an answer is good for, by credential: at most 30s. So long can somebody go on whom the application no longer knows. 0s asks for each request."),
		key("jwt", kind[*identity.JWT](jwtKind{optional[identity.JWT]{jwtObject}}), func(c *identity.Config) **identity.JWT { return &c.JWT },
			"Instead: the caller sends a signed token, and its claims say who that is."),
		key("header", kind[*identity.Header](identityHeaderKind{optional[identity.Header]{identityHeaderObject}}), func(c *identity.Config) **identity.Header { return &c.Header },
			"Instead: a gateway in front of rowhook, which has checked the login, says in a header who that is."),
	},
}

var jwtObject = object[identity.JWT]{
	closed: true,
	check:  checkJWT,
	members: []member[identity.JWT]{
		key("jwks_url", keySetURL(), func(c *identity.JWT) *string { return &c.JWKSURL },
			"Where the issuer publishes its keys, as a JSON Web Key Set. They are fetched again every 5 minutes, and when a token names one that is not among them. Either this or key."),
		key("key", tokenKey(), func(c *identity.JWT) *secret.String { return &c.Key },
			"The key itself: a public key or certificate in PEM, or a shared secret of at least 32 bytes."),
		key("issuer", plainText("the claim iss of your tokens", "https://login.example.com/"), func(c *identity.JWT) *string { return &c.Issuer },
			"What the claim iss has to be. With jwks_url, this or audience is required."),
		key("audience", plainText("the claim aud of your tokens", "https://api.example.com"), func(c *identity.JWT) *string { return &c.Audience },
			"What the claim aud has to be, or to hold: tokens that the issuer made for others are refused."),
		key("algorithms", list[string]{item: choice(identity.Algorithms...)}, func(c *identity.JWT) *[]string { return &c.Algorithms },
			"What tokens may be signed with. Default: all that fit the key; none and shared secrets never fit published keys."),
		must(key("account", formula("org_id", `$env["https://example.com/account"]`, "org_id"), func(c *identity.JWT) **mapping.Source { return &c.Account },
			"Expression over the claims that gives the customer, as the account of the resources gives it. A token without one is refused."), "account: org_id"),
		key("allow", formula(`scope contains "webhooks"`, `scope contains "webhooks"`), func(c *identity.JWT) **mapping.Source { return &c.Allow },
			"Condition over the claims under which the caller may write; others may read. Default: all may write."),
		key("header", headerNameText("Cf-Access-Jwt-Assertion"), func(c *identity.JWT) *string { return &c.Header },
			"The header that holds the token. Default: Authorization, as Bearer."),
	},
}

var identityHeaderObject = object[identity.Header]{
	closed: true,
	check:  checkIdentityHeader,
	members: []member[identity.Header]{
		must(key("name", headerNameText("X-Account-Id"), func(h *identity.Header) *string { return &h.Name },
			"The header that holds the customer, as the account of the resources gives it."), "name: X-Account-Id"),
		must(key("from", list[netip.Prefix]{item: network()}, func(h *identity.Header) *[]netip.Prefix { return &h.From },
			"Networks of the gateway. From everywhere else the header is taken off, in what goes to the application too. What counts is the address of the connection, not X-Forwarded-For."),
			"from: [10.0.0.0/8]"),
		key("allow_header", headerNameText("X-May-Write"), func(h *identity.Header) *string { return &h.AllowHeader },
			"A second such header: the caller may write where it is true, and read otherwise. Default: all may write."),
	},
}

// checkIdentity wants one way of finding out who calls, and what belongs to it.
func checkIdentity(d *decoder, v value, c *identity.Config) {
	given := func(name string) (value, bool) { return child(v, name) }
	var ways []string
	for _, name := range []string{"path", "jwt", "header"} {
		if _, ok := given(name); ok {
			ways = append(ways, name)
		}
	}
	switch {
	case len(ways) == 0:
		if v.node.Kind == yaml.MappingNode {
			d.add(d.objectPlace(v), "add path: /api/me, or jwt: or header:", "%s does not say how to find out who calls", v.path)
		}
		return
	case len(ways) > 1:
		second, _ := given(ways[1])
		d.add(second.key, "keep one of them", "%s has %s", v.path, strings.Join(ways, " and "))
		return
	}
	account, hasAccount := given("account")
	switch {
	case ways[0] != "path":
		for _, name := range []string{"account", "allow", "headers", "cache"} {
			hint := "leave it out"
			if own, ok := given(name); ok {
				if ways[0] == "jwt" && (name == "account" || name == "allow") {
					hint = "put it under jwt"
				}
				d.add(own.key, hint, "%s.%s goes with path only", v.path, name)
			}
		}
	case !hasAccount:
		d.add(d.objectPlace(v), "add account: account.id, an expression over the answer", "%s.account is required", v.path)
	}
	if ways[0] == "path" && account.node != nil && c.Account != nil {
		d.formula(v.path+".account", c.Account)
	}
	if ways[0] == "path" && c.Allow != nil {
		d.formula(v.path+".allow", c.Allow)
	}
}

// checkJWT wants one source of keys, and tokens that are made for us.
func checkJWT(d *decoder, v value, c *identity.JWT) {
	if c.Account != nil {
		d.formula(v.path+".account", c.Account)
	}
	if c.Allow != nil {
		d.formula(v.path+".allow", c.Allow)
	}
	url, hasURL := child(v, "jwks_url")
	own, hasKey := child(v, "key")
	switch {
	case v.node.Kind != yaml.MappingNode:
		return
	case hasURL && hasKey:
		d.add(laterOf(url, own), "keep one of them", "%s has jwks_url and key", v.path)
		return
	case !hasURL && !hasKey:
		d.add(d.objectPlace(v), "add jwks_url: https://…, or key: ${file:PATH}", "%s has no keys", v.path)
		return
	}
	_, issuer := child(v, "issuer")
	_, audience := child(v, "audience")
	if hasURL && !issuer && !audience {
		d.add(d.objectPlace(v), "add issuer and audience: whoever runs the issuer makes tokens for others too",
			"%s takes any token that the keys of jwks_url sign", v.path)
	}
	var fitting []string
	switch {
	case hasKey && c.Key != "":
		_, fitting, _ = identity.ParseKey(c.Key)
	case hasURL:
		fitting = slices.DeleteFunc(slices.Clone(identity.Algorithms), identity.SharedSecret)
	}
	for i, a := range c.Algorithms {
		if a != "" && fitting != nil && !slices.Contains(fitting, a) {
			n := d.notes[item(v.path+".algorithms", i)]
			d.add(n.at, "fitting are "+strings.Join(fitting, ", "), "%s: %s does not fit the key", item(v.path+".algorithms", i), n.shown)
		}
	}
}

func checkIdentityHeader(d *decoder, v value, h *identity.Header) {
	if from, ok := child(v, "from"); ok && len(h.From) == 0 && from.node.Kind == yaml.SequenceNode {
		d.add(from.key, "name the network of the gateway: from: [10.0.0.0/8]", "%s.from is empty: nobody could set the header", v.path)
	}
	for i, p := range h.From {
		if p.IsValid() && p.Bits() == 0 {
			n := d.notes[item(v.path+".from", i)]
			d.add(n.at, "name the network of the gateway", "%s: %s is everybody", item(v.path+".from", i), n.shown)
		}
	}
	if h.AllowHeader != "" && strings.EqualFold(h.AllowHeader, h.Name) {
		d.add(d.notes[v.path+".allow_header"].at, "take another header", "%s.allow_header is the same as name", v.path)
	}
}

// formula tells what is wrong with an expression over JSON.
func (d *decoder) formula(path string, s *mapping.Source) {
	_, problems := mapping.ParseFormula(path, s)
	d.problems = append(d.problems, problems...)
}

// child is a key of a map as it stands in the file.
func child(v value, name string) (value, bool) {
	if v.node.Kind != yaml.MappingNode {
		return value{}, false
	}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		if k := v.node.Content[i]; k.Value == name {
			return value{path: join(v.path, name), key: problem.Place{File: v.key.File, Line: k.Line, Column: k.Column}, node: v.node.Content[i+1]}, true
		}
	}
	return value{}, false
}

func laterOf(a, b value) problem.Place {
	if a.key.Line > b.key.Line || a.key.Line == b.key.Line && a.key.Column > b.key.Column {
		return a.key
	}
	return b.key
}

// formulaKind is an expression whose place in the file says nothing of what it means.
type formulaKind struct{ expressionKind }

func formula(example string, examples ...any) kind[*mapping.Source] {
	return formulaKind{expressionKind{hint: "write an expression, as in " + example, examples: examples}}
}

func (formulaKind) changed(a, b **mapping.Source, path string) []string {
	if (*a == nil) != (*b == nil) || *a != nil && (*a).Text != (*b).Text {
		return []string{path}
	}
	return nil
}

// What looks for it is generic.
var _ comparer[*mapping.Source] = formulaKind{}

// optional is an object that may be left out, and then is nil. Its kinds name what it holds.
type optional[T any] struct{ object object[T] }

func (o optional[T]) read(d *decoder, v value, to **T) {
	*to = new(T)
	o.object.decode(d, v, *to)
}

func (o optional[T]) differs(a, b **T, path string) []string {
	if *a == nil || *b == nil {
		if *a == *b {
			return nil
		}
		return []string{path}
	}
	return o.object.changed(*a, *b, path)
}

// jwtKind is the block jwt.
type jwtKind struct{ optional[identity.JWT] }

func (k jwtKind) decode(d *decoder, v value, to **identity.JWT) { k.read(d, v, to) }

func (k jwtKind) schema(**identity.JWT) jsonObject { return k.object.schema(nil) }

func (k jwtKind) changed(a, b **identity.JWT, path string) []string { return k.differs(a, b, path) }

// identityHeaderKind is the block header.
type identityHeaderKind struct{ optional[identity.Header] }

func (k identityHeaderKind) decode(d *decoder, v value, to **identity.Header) { k.read(d, v, to) }

func (k identityHeaderKind) schema(**identity.Header) jsonObject { return k.object.schema(nil) }

func (k identityHeaderKind) changed(a, b **identity.Header, path string) []string {
	return k.differs(a, b, path)
}

// What looks for these is generic too.
var (
	_ comparer[*identity.JWT]    = jwtKind{}
	_ comparer[*identity.Header] = identityHeaderKind{}
)

// questionPath is a route of the application, with a query perhaps.
func questionPath() scalar[string] {
	const hint = "write the part of the address behind app.url: /api/me"
	return checked("a path", hint, func(s string) *mistake {
		u, err := url.ParseRequestURI(s)
		switch {
		case !strings.HasPrefix(s, "/"):
			return &mistake{is: "does not begin with a /"}
		case err != nil || u.Host != "" || u.Fragment != "" || strings.Contains(s, "#") || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
			return &mistake{is: "is not a path"}
		}
		return nil
	}, "/api/me")
}

// routeHeaders say which way a request has come. X-Forwarded-User is not one of them.
var routeHeaders = []string{"Host", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Real-Ip"}

// headerNameText is the name of a header that a caller or a gateway sets.
func headerNameText(examples ...any) scalar[string] {
	return checked("the name of a header", "write the header's name, as in X-Account-Id", func(s string) *mistake {
		switch name := http.CanonicalHeaderKey(s); {
		case !headerName.MatchString(s):
			return &mistake{is: "is not the name of a header"}
		case slices.Contains(ownHeaders, name) || slices.Contains(routeHeaders, name):
			return &mistake{is: "says nothing of who calls", hint: "take the header that does"}
		}
		return nil
	}, examples...)
}

// plainText is text that stands for itself.
func plainText(what string, examples ...any) scalar[string] {
	return checked("text", "write "+what, func(string) *mistake { return nil }, examples...)
}

// keySetURL is where keys are fetched from: what is not encrypted on its way may be anybody's.
func keySetURL() scalar[string] {
	k := checked("a URL", "write a URL such as https://login.example.com/.well-known/jwks.json", func(s string) *mistake {
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || !validPort(u.Port(), true):
			return &mistake{is: "is not an https URL"}
		case u.User != nil:
			return &mistake{is: "holds a user or password", hint: "leave them out of the URL"}
		case u.Fragment != "":
			return &mistake{is: "has a fragment", hint: "end the URL before its #"}
		case u.Scheme == "http" && !loopbackHost(u.Hostname()):
			return &mistake{is: "is not https", hint: "write https: whoever can change the keys on their way can be any customer"}
		}
		return nil
	}, "https://login.example.com/.well-known/jwks.json")
	k.hide = func(s string) bool { return strings.Contains(s, "@") }
	return k
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// tokenKey is a key that tokens are verified with.
func tokenKey() scalar[secret.String] {
	return scalar[secret.String]{
		want:   "text",
		secret: true,
		parse: func(s string) (secret.String, *mistake) {
			if _, _, err := identity.ParseKey(secret.String(s)); err != nil {
				return "", &mistake{is: err.Error(), hint: "give the public key in PEM, or the secret that tokens are signed with: ${file:/run/secrets/jwt-key}"}
			}
			return secret.String(s), nil
		},
		json: jsonObject{{"type", "string"}, {"examples", []any{"${file:/etc/rowhook/issuer.pem}", "${env:JWT_SECRET}"}}},
	}
}
