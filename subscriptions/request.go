package subscriptions

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/rowhook/rowhook/internal/secret"
)

// Request says how requests to a target are made. What is empty is the default, and a subscription with the defaults alone
// has none.
type Request struct {
	// Format is one of Formats. Empty is FormatStandard.
	Format string
	// Signature is one of Signatures. Empty is what the format implies, see SignatureOf.
	Signature string
	// Encoding is EncodingForm. Empty is JSON, or the form where the method is GET.
	Encoding string
	// Method is PUT or GET. Empty is POST.
	Method string
	// Compression is CompressionGzip. Empty is none.
	Compression string
	// Headers are sent beside rowhook's own, in the order of their names.
	Headers []RequestHeader
	// Auth is how rowhook logs in to the target; nil for not at all.
	Auth *Auth
	// CustomData is a JSON object whose members stand in every body; nil for none.
	CustomData []byte
}

// RequestHeader is a header of the subscriber's own. Its value is never shown.
type RequestHeader struct {
	Name  string
	Value secret.String
}

// The formats of bodies.
const (
	FormatStandard       = "standard"
	FormatRESTHooks      = "rest_hooks"
	FormatRepresentation = "representation"
	FormatThin           = "thin"
	FormatCloudEvents    = "cloudevents"
)

// Formats are all of them, the default first.
var Formats = []string{FormatStandard, FormatRESTHooks, FormatRepresentation, FormatThin, FormatCloudEvents}

// The ways of signing.
const (
	SignatureStandard  = "standard"
	SignatureEd25519   = "standard_v1a"
	SignatureRESTHooks = "rest_hooks"
	SignatureGitHub    = "github"
	SignatureStripe    = "stripe"
	SignatureSlack     = "slack"
	SignatureTwilio    = "twilio"
	SignatureVonage    = "vonage"
	SignatureNone      = "none"
)

// The encodings of bodies.
const (
	EncodingJSON = "json"
	EncodingForm = "form"
)

// The compressions of bodies.
const (
	CompressionNone = "none"
	CompressionGzip = "gzip"
)

// Compressions are all of them, the default first.
var Compressions = []string{CompressionNone, CompressionGzip}

// The ways of logging in.
const (
	AuthBearer = "bearer"
	AuthBasic  = "basic"
	AuthHeader = "header"
	AuthOAuth2 = "oauth2"
)

// Signatures are all ways of signing, the default first.
var Signatures = []string{SignatureStandard, SignatureEd25519, SignatureRESTHooks, SignatureGitHub, SignatureStripe, SignatureSlack, SignatureTwilio,
	SignatureVonage, SignatureNone}

// Encodings and Methods are those of requests, the default first.
var (
	Encodings = []string{EncodingJSON, EncodingForm}
	Methods   = []string{http.MethodPost, http.MethodPut, http.MethodGet}
)

// Auth is how rowhook logs in to a target: what the Type asks for is set.
type Auth struct {
	// Type is AuthBearer (Token), AuthBasic (Username, Password), AuthHeader (Name, Value) or AuthOAuth2 (the rest).
	Type               string
	Token              secret.String
	Username, Password secret.String
	Name               string
	Value              secret.String
	// TokenURL is asked for a token with the grant client_credentials.
	TokenURL               string
	ClientID, ClientSecret secret.String
	Scope, Audience        string
}

// RequestFormat is the format of the subscription's bodies.
func (s *Subscription) RequestFormat() string {
	if s.Request == nil || s.Request.Format == "" {
		return FormatStandard
	}
	return s.Request.Format
}

// RequestSignature is how the subscription's requests are signed.
func (s *Subscription) RequestSignature() string {
	if s.Request == nil {
		return SignatureStandard
	}
	if s.Request.Signature != "" {
		return s.Request.Signature
	}
	return SignatureOf(s.Request.Format)
}

// SignatureOf is how requests of a format are signed where nothing else is said.
func SignatureOf(format string) string {
	if format == FormatRESTHooks {
		return SignatureRESTHooks
	}
	return SignatureStandard
}

// IsForm says whether the event is sent as a form.
func (r *Request) IsForm() bool { return r.Encoding == EncodingForm || r.Method == http.MethodGet }

func (r *Request) clone() *Request {
	if r == nil {
		return nil
	}
	c := *r
	c.Headers = slices.Clone(r.Headers)
	c.CustomData = bytes.Clone(r.CustomData)
	if r.Auth != nil {
		auth := *r.Auth
		c.Auth = &auth
	}
	return &c
}

// isDefault says that it asks for nothing but what is done anyway.
func (r *Request) isDefault() bool {
	return r.Format == "" && r.Signature == "" && r.Encoding == "" && r.Method == "" && r.Compression == "" && len(r.Headers) == 0 && r.Auth == nil && r.CustomData == nil
}

// revealedRequest is a Request as it is stored. What the store may not put into another order is a list, or a text.
type revealedRequest struct {
	Format     string            `json:"format,omitempty"`
	Signature  string            `json:"signature,omitempty"`
	Encoding   string            `json:"encoding,omitempty"`
	Method     string            `json:"method,omitempty"`
	Headers    [][2]string       `json:"headers,omitempty"`
	Auth       map[string]string `json:"auth,omitempty"`
	CustomData string            `json:"custom_data,omitempty"`

	Compression string `json:"compression,omitempty"`
}

// EncodeRequest writes a request block as JSON for the store, with its secrets. Nil is nil.
func EncodeRequest(r *Request) ([]byte, error) {
	if r == nil {
		return nil, nil
	}
	out := revealedRequest{Format: r.Format, Signature: r.Signature, Encoding: r.Encoding, Method: r.Method, Compression: r.Compression, CustomData: string(r.CustomData)}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, [2]string{h.Name, h.Value.Reveal()})
	}
	if r.Auth != nil {
		out.Auth = map[string]string{"type": r.Auth.Type}
		for _, m := range authMembers[r.Auth.Type] {
			if v := m.get(r.Auth); v != "" {
				out.Auth[m.name] = v
			}
		}
	}
	return json.Marshal(out)
}

// DecodeRequest is the reverse of EncodeRequest.
func DecodeRequest(b []byte) (*Request, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var in revealedRequest
	if err := json.Unmarshal(b, &in); err != nil {
		// The error of encoding/json can quote what it read.
		return nil, errors.New("decode request block: not the JSON that EncodeRequest writes")
	}
	r := &Request{Format: in.Format, Signature: in.Signature, Encoding: in.Encoding, Method: in.Method, Compression: in.Compression}
	for _, h := range in.Headers {
		r.Headers = append(r.Headers, RequestHeader{h[0], secret.String(h[1])})
	}
	if in.Auth != nil {
		r.Auth = &Auth{Type: in.Auth["type"]}
		for _, m := range authMembers[r.Auth.Type] {
			m.set(r.Auth, in.Auth[m.name])
		}
	}
	if in.CustomData != "" {
		r.CustomData = []byte(in.CustomData)
	}
	return r, nil
}

// RequestView is a request block as its owner sees it: what has been set, with *** for what is secret.
type RequestView struct {
	Format     string            `json:"format,omitempty"`
	Signature  string            `json:"signature,omitempty"`
	Encoding   string            `json:"encoding,omitempty"`
	Method     string            `json:"method,omitempty"`
	Headers    map[string]string `json:"headers,omitempty"`
	Auth       *AuthView         `json:"auth,omitempty"`
	CustomData json.RawMessage   `json:"custom_data,omitempty"`

	Compression string `json:"compression,omitempty"`
}

// AuthView is a login as its owner sees it.
type AuthView struct {
	Type         string `json:"type"`
	Token        string `json:"token,omitempty"`
	Username     string `json:"username,omitempty"`
	Password     string `json:"password,omitempty"`
	Name         string `json:"name,omitempty"`
	Value        string `json:"value,omitempty"`
	TokenURL     string `json:"token_url,omitempty"`
	ClientID     string `json:"client_id,omitempty"`
	ClientSecret string `json:"client_secret,omitempty"`
	Scope        string `json:"scope,omitempty"`
	Audience     string `json:"audience,omitempty"`
}

func (r *Request) shown() RequestView {
	if r == nil {
		return RequestView{}
	}
	v := RequestView{Format: r.Format, Signature: r.Signature, Encoding: r.Encoding, Method: r.Method, Compression: r.Compression, CustomData: bytes.Clone(r.CustomData)}
	for _, h := range r.Headers {
		if v.Headers == nil {
			v.Headers = map[string]string{}
		}
		v.Headers[h.Name] = hidden
	}
	if a := r.Auth; a != nil {
		stars := func(s secret.String) string {
			if s == "" {
				return ""
			}
			return hidden
		}
		v.Auth = &AuthView{Type: a.Type, Token: stars(a.Token), Username: stars(a.Username), Password: stars(a.Password), Name: a.Name,
			Value: stars(a.Value), TokenURL: a.TokenURL, ClientID: stars(a.ClientID), ClientSecret: stars(a.ClientSecret), Scope: a.Scope,
			Audience: a.Audience}
	}
	return v
}
