package subscriptions

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rowhook/rowhook/internal/secret"
)

// The limits of a request block. Headers are bounded in all, because many servers take no more than 8 KiB of them.
const (
	maxHeaders     = 20
	maxHeaderName  = 100
	maxCredential  = 2000
	maxHeaderBytes = 6000
	maxCustom      = 50
	maxCustomBytes = 4000
)

var requestMembers = []string{"format", "signature", "encoding", "method", "compression", "headers", "auth", "custom_data"}

// ownHeaders are those that requests have anyway, or that say how a request is transferred. Those of webhook-… and proxy-…
// are rowhook's too.
var ownHeaders = []string{
	"host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect",
	"user-agent", "traceparent", "tracestate", "x-hook-signature", "x-hook-secret", "x-hub-signature-256", "stripe-signature",
	"x-slack-signature", "x-slack-request-timestamp", "x-twilio-signature",
}

// authMember is a member of auth. Those that are secret are shown as ***.
type authMember struct {
	name             string
	required, secret bool
	get              func(*Auth) string
	set              func(*Auth, string)
	check            func(r Rules, s *Subscription, text string) string
}

func hiddenMember(name string, required bool, at func(*Auth) *secret.String, check func(string) string) authMember {
	return authMember{name: name, required: required, secret: true,
		get:   func(a *Auth) string { return at(a).Reveal() },
		set:   func(a *Auth, v string) { *at(a) = secret.String(v) },
		check: func(_ Rules, _ *Subscription, text string) string { return check(text) }}
}

func shownMember(name string, required bool, at func(*Auth) *string, check func(r Rules, s *Subscription, text string) string) authMember {
	return authMember{name: name, required: required, get: func(a *Auth) string { return *at(a) }, set: func(a *Auth, v string) { *at(a) = v }, check: check}
}

// authMembers are those of each type of auth.
var authMembers = map[string][]authMember{
	AuthBearer: {hiddenMember("token", true, func(a *Auth) *secret.String { return &a.Token }, checkToken)},
	AuthBasic: {
		hiddenMember("username", true, func(a *Auth) *secret.String { return &a.Username }, checkUsername),
		hiddenMember("password", false, func(a *Auth) *secret.String { return &a.Password }, checkCredential),
	},
	AuthHeader: {
		shownMember("name", true, func(a *Auth) *string { return &a.Name }, func(_ Rules, _ *Subscription, text string) string { return checkHeaderName(text) }),
		hiddenMember("value", true, func(a *Auth) *secret.String { return &a.Value }, checkHeaderValue),
	},
	AuthOAuth2: {
		shownMember("token_url", true, func(a *Auth) *string { return &a.TokenURL }, Rules.checkTokenURL),
		hiddenMember("client_id", true, func(a *Auth) *secret.String { return &a.ClientID }, checkCredential),
		hiddenMember("client_secret", true, func(a *Auth) *secret.String { return &a.ClientSecret }, checkCredential),
		shownMember("scope", false, func(a *Auth) *string { return &a.Scope }, checkParameter),
		shownMember("audience", false, func(a *Auth) *string { return &a.Audience }, checkParameter),
	},
}

var authTypes = []string{AuthBearer, AuthBasic, AuthHeader, AuthOAuth2}

// readRequest reads the request block. The target has been read.
func (r Rules) readRequest(s, old *Subscription, v any, m *mistakes) {
	if v == nil {
		return
	}
	o, ok := v.(object)
	if !ok {
		m.add("request", `is %s: give an object such as {"format": "thin"}`, kindOf(v))
		return
	}
	x := &Request{}
	var before *Request
	if old != nil {
		before = old.Request
	}
	// Without a target nobody learns it. Whoever gives one again has to give the values too.
	kept := keeper{same: old != nil && (s.TargetURL == "" || sameServer(s.TargetURL.Reveal(), old.TargetURL.Reveal()))}
	asJSON := false
	for _, member := range o {
		if m.full() {
			m.more = true
			return
		}
		at := join("request", member.name)
		if !slices.Contains(requestMembers, member.name) {
			unknown(m, "request", member.name, requestMembers)
			continue
		}
		if member.value == nil {
			continue
		}
		switch member.name {
		case "format":
			x.Format = choice(m, at, member.value, Formats)
		case "signature":
			x.Signature = choice(m, at, member.value, Signatures)
		case "encoding":
			x.Encoding = choice(m, at, member.value, Encodings)
			asJSON = x.Encoding == EncodingJSON
		case "method":
			x.Method = choice(m, at, member.value, Methods)
		case "compression":
			x.Compression = choice(m, at, member.value, Compressions)
		case "headers":
			x.Headers = readHeaders(member.value, before, kept, m)
		case "auth":
			x.Auth = r.readAuth(s, member.value, before, kept, m)
		case "custom_data":
			x.CustomData = readCustomData(member.value, m)
		}
	}
	x.checkTogether(asJSON, m)
	x.checkCredentials(s, m)
	// What is the default is left out, so that equal blocks are equal.
	drop := func(field *string, isDefault string) {
		if *field == isDefault {
			*field = ""
		}
	}
	drop(&x.Signature, SignatureOf(x.Format))
	drop(&x.Format, FormatStandard)
	drop(&x.Encoding, EncodingJSON)
	drop(&x.Method, http.MethodPost)
	drop(&x.Compression, CompressionNone)
	if !x.isDefault() {
		s.Request = x
	}
}

// checkTogether refuses members that do not go together; asJSON says that this encoding was asked for.
func (r *Request) checkTogether(asJSON bool, m *mistakes) {
	if asJSON && r.Method == http.MethodGet {
		m.add("request.encoding", `is "json", and a GET has no body: leave it out, or choose another method`)
	}
	if r.Compression == CompressionGzip && r.Method == http.MethodGet {
		m.add("request.compression", `is "gzip", and a GET has no body: leave it out, or choose another method`)
	}
	if r.Signature == SignatureVonage && !r.IsForm() {
		m.add("request.signature", `is "vonage", which signs the fields of a form: add "encoding": "form"`)
	}
	if r.CustomData != nil {
		switch r.Format {
		case FormatRepresentation:
			m.add("request.custom_data", `has no place in the format "representation", which is the representation alone: choose another format, or leave it out`)
		case FormatCloudEvents:
			checkExtensions(r.CustomData, m)
		}
	}
	total := 0
	for _, h := range r.Headers {
		total += len(h.Name) + len(h.Value)
		if a := r.Auth; a != nil && strings.EqualFold(h.Name, a.header()) {
			m.add(join("request.headers", h.Name), `is sent by "auth" too: leave one of them out`)
		}
	}
	if total > maxHeaderBytes {
		m.add("request.headers", "has %d bytes in all: give at most %d", total, maxHeaderBytes)
	}
}

// checkCredentials refuses to log in in two ways at once.
func (r *Request) checkCredentials(s *Subscription, m *mistakes) {
	if _, end := userinfo(s.TargetURL.Reveal()); end < 0 {
		return
	}
	const wrong = "is sent in the header Authorization, as are the credentials of target_url: leave one of them out"
	if r.Auth != nil && strings.EqualFold(r.Auth.header(), "Authorization") {
		m.add("request.auth", wrong)
	}
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, "Authorization") {
			m.add(join("request.headers", h.Name), wrong)
		}
	}
}

// header is the name of the header that the login is in.
func (a *Auth) header() string {
	if a.Type == AuthHeader {
		return a.Name
	}
	return "Authorization"
}

// choice reads one of some texts.
func choice(m *mistakes, at string, v any, from []string) string {
	text, ok := v.(string)
	switch {
	case !ok:
		m.add(at, "is %s: give one of %s", kindOf(v), strings.Join(from, ", "))
	case slices.Contains(from, text):
		return text
	default:
		hint := ""
		if n := nearest(text, from); n != "" {
			hint = "did you mean " + strconv.Quote(n) + "? "
		}
		m.add(at, "is %s: %sgive one of %s", quote(text), hint, strings.Join(from, ", "))
	}
	return ""
}

// keeper says whether a stored secret may stay where *** is given in its place.
type keeper struct {
	// same says that the target is still at the same server. A secret that was given for one is not to be learned by whoever
	// can name another.
	same bool
}

// keep returns what is stored, or says why it cannot stay.
func (k keeper) keep(m *mistakes, at, stored string) string {
	switch {
	case stored == "":
		m.add(at, "is ***, which stands for a value that is stored, and none is: give the value")
	case !k.same:
		m.add(at, "is ***, and was stored for another server: give the value again")
	default:
		return stored
	}
	return ""
}

// sameServer says whether two URLs are at the same server.
func sameServer(a, b string) bool {
	one, err1 := url.Parse(a)
	two, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && one.Scheme == two.Scheme && strings.EqualFold(one.Host, two.Host)
}

func readHeaders(v any, before *Request, kept keeper, m *mistakes) []RequestHeader {
	o, ok := v.(object)
	switch {
	case !ok:
		m.add("request.headers", `is %s: give an object such as {"x-tenant": "acme"}`, kindOf(v))
		return nil
	case len(o) > maxHeaders:
		m.add("request.headers", "has %d members: give at most %d", len(o), maxHeaders)
		return nil
	}
	var all []RequestHeader
	for _, member := range o {
		at := join("request.headers", member.name)
		if wrong := checkHeaderName(member.name); wrong != "" {
			m.add(at, "%s", wrong)
			continue
		}
		if slices.ContainsFunc(all, func(h RequestHeader) bool { return strings.EqualFold(h.Name, member.name) }) {
			m.add(at, "is given twice: upper and lower case are the same in names of headers")
			continue
		}
		text, ok := member.value.(string)
		if !ok {
			m.add(at, "is %s: give a string", kindOf(member.value))
			continue
		}
		if text == hidden {
			stored := ""
			if before != nil {
				for _, h := range before.Headers {
					if strings.EqualFold(h.Name, member.name) {
						stored = h.Value.Reveal()
					}
				}
			}
			text = kept.keep(m, at, stored)
		} else if wrong := checkHeaderValue(text); wrong != "" {
			m.add(at, "%s", wrong)
		}
		all = append(all, RequestHeader{member.name, secret.String(text)})
	}
	slices.SortFunc(all, func(a, b RequestHeader) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (r Rules) readAuth(s *Subscription, v any, before *Request, kept keeper, m *mistakes) *Auth {
	o, ok := v.(object)
	if !ok {
		m.add("request.auth", `is %s: give an object such as {"type": "bearer", "token": "…"}`, kindOf(v))
		return nil
	}
	given, ok := o.get("type")
	if !ok || given == nil {
		if len(o) > 0 {
			m.add("request.auth.type", "is required: give one of %s", strings.Join(authTypes, ", "))
		}
		return nil
	}
	a := &Auth{Type: choice(m, "request.auth.type", given, authTypes)}
	if a.Type == "" {
		return nil
	}
	stored := &Auth{}
	if before != nil && before.Auth != nil && before.Auth.Type == a.Type {
		stored = before.Auth
	}
	all := authMembers[a.Type]
	names := []string{"type"}
	for _, x := range all {
		names = append(names, x.name)
		at := "request.auth." + x.name
		v, _ := o.get(x.name)
		text, ok := v.(string)
		switch {
		case v == nil || ok && text == "":
			if x.required {
				m.add(at, "is required with type %q", a.Type)
			}
			continue
		case !ok:
			m.add(at, "is %s: give a string", kindOf(v))
			continue
		case x.secret && text == hidden:
			k := kept
			if a.Type == AuthOAuth2 {
				k.same = k.same && sameServer(a.TokenURL, stored.TokenURL)
			}
			text = k.keep(m, at, x.get(stored))
		case text == x.get(stored): // was checked before
		default:
			if wrong := x.check(r, s, text); wrong != "" {
				m.add(at, "%s", wrong)
				continue
			}
		}
		x.set(a, text)
	}
	for _, member := range o {
		if !slices.Contains(names, member.name) {
			unknown(m, "request.auth", member.name, names)
		}
	}
	return a
}

// checkTokenURL rules the address of a token endpoint as that of a target.
func (r Rules) checkTokenURL(s *Subscription, text string) string {
	if _, end := userinfo(text); end >= 0 {
		return "has credentials: give them as client_id and client_secret"
	}
	if err := r.policyOf(s).Check(text); err != nil {
		return err.Error()
	}
	return ""
}

func checkHeaderName(name string) string {
	lower := strings.ToLower(name)
	switch {
	case name == "" || len(name) > maxHeaderName || strings.IndexFunc(name, func(r rune) bool { return !isTokenRune(r) }) >= 0:
		return "is not the name of a header: give letters, digits and hyphens, at most " + strconv.Itoa(maxHeaderName)
	case slices.Contains(ownHeaders, lower), strings.HasPrefix(lower, "webhook-"), strings.HasPrefix(lower, "proxy-"):
		return "is a header that rowhook sets itself: choose another name"
	}
	return ""
}

// isTokenRune is what names of headers are made of. https://www.rfc-editor.org/rfc/rfc9110#name-tokens
func isTokenRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r < 0x80 && strings.IndexByte("!#$%&'*+-.^_`|~", byte(r)) >= 0
}

func checkHeaderValue(text string) string {
	switch {
	case len(text) > maxCredential:
		return "has more than " + strconv.Itoa(maxCredential) + " bytes"
	case text != strings.TrimSpace(text):
		return "begins or ends with a space: leave it out"
	case strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) >= 0:
		return "holds a character that is not printable ASCII: headers can have no other"
	}
	return ""
}

func checkToken(text string) string {
	if strings.Contains(text, " ") {
		return `holds a space: give the token alone, without "Bearer"`
	}
	return checkHeaderValue(text)
}

func checkUsername(text string) string {
	if strings.Contains(text, ":") {
		return "holds a colon, which ends the user's name in Basic auth"
	}
	return checkCredential(text)
}

// checkCredential is for texts that are encoded before they are sent.
func checkCredential(text string) string {
	var m mistakes
	if checkText(&m, "", text, maxCredential); len(m.list) > 0 {
		return m.list[0].Detail
	}
	return ""
}

func checkParameter(_ Rules, _ *Subscription, text string) string { return checkCredential(text) }

// readCustomData returns the object in its order, with its numbers as they are written.
func readCustomData(v any, m *mistakes) []byte {
	o, ok := v.(object)
	switch {
	case !ok:
		m.add("request.custom_data", `is %s: give an object such as {"tenant": "acme"}`, kindOf(v))
		return nil
	case len(o) == 0:
		return nil
	case len(o) > maxCustom:
		m.add("request.custom_data", "has %d members: give at most %d", len(o), maxCustom)
		return nil
	}
	b := appendJSON(nil, o)
	if len(b) > maxCustomBytes {
		m.add("request.custom_data", "takes %d bytes as JSON: give at most %d", len(b), maxCustomBytes)
		return nil
	}
	return b
}

// checkExtensions checks what is to stand beside the attributes of a CloudEvent.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#attribute-naming-convention
func checkExtensions(object []byte, m *mistakes) {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(object, &members) // it was just written
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := members[name]
		at := join("request.custom_data", name)
		if name == "" || len(name) > 20 || strings.IndexFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) >= 0 {
			m.add(at, `is no name for an extension of CloudEvents: give at most 20 lower-case letters and digits`)
			continue
		}
		switch value[0] {
		case '"', 't', 'f':
		case '{', '[', 'n':
			m.add(at, "is no value for an extension of CloudEvents: give a string, a boolean or a whole number")
		default:
			if _, err := strconv.ParseInt(string(value), 10, 32); err != nil {
				m.add(at, "is no value for an extension of CloudEvents: give a whole number of 32 bits, or a string")
			}
		}
	}
}

// appendJSON writes what parseObject has read.
func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		dst = append(dst, '{')
		for i, member := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendJSON(dst, member.name), ':')
			dst = appendJSON(dst, member.value)
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i, x := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, x)
		}
		return append(dst, ']')
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // a text, a number, a boolean or null
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// writableRequest is the reverse of readRequest.
func writableRequest(r *Request) object {
	b, err := json.Marshal(r.shown())
	if err != nil {
		return object{}
	}
	var m mistakes
	o, err := parseObject(b, &m)
	if err != nil {
		return object{}
	}
	return o
}

// forgetAuth takes the login out of what a patch applies to where the patch has one of another type: nothing of the old one
// is to be merged into it.
func forgetAuth(base, patch object) object {
	was, is := authType(base), authType(patch)
	if was == nil || is == nil || was == is {
		return base
	}
	v, _ := base.get("request")
	return base.set("request", v.(object).without("auth"))
}

func authType(o object) any {
	for _, name := range []string{"request", "auth"} {
		v, _ := o.get(name)
		inner, ok := v.(object)
		if !ok {
			return nil
		}
		o = inner
	}
	v, _ := o.get("type")
	return v
}
