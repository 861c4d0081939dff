package subscriptions_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// withRequest is a good body with a request block.
func withRequest(members string) string { return with(`"request":{` + members + `}`) }

func TestRequestSaysEachMistake(t *testing.T) {
	t.Parallel()
	many, large := "", ""
	for i := range 21 {
		many += fmt.Sprintf(`,"x-%d":""`, i)
	}
	for i := range 4 {
		large += fmt.Sprintf(`,"x-%d":%q`, i, strings.Repeat("a", 2000))
	}
	const header = "request.headers."
	const auth = "request.auth."
	for _, c := range []struct{ members, want string }{
		{`"fromat":"thin"`, `request.fromat: "fromat" is not a field: did you mean "format"?`},
		{`"fromat":null`, `request.fromat: "fromat" is not a field`},
		{`"format":{"a":[]}`, `request.format: is an object: give one of standard, rest_hooks, representation, thin, cloudevents`},
		{`"format":"thinn"`, `request.format: is "thinn": did you mean "thin"? give one of standard, rest_hooks`},
		{`"signature":"md5"`, `request.signature: is "md5": give one of standard, standard_v1a, rest_hooks, github, stripe, slack, twilio, vonage, none`},
		{`"signature":"vonage"`, `request.signature: is "vonage", which signs the fields of a form: add "encoding": "form"`},
		{`"encoding":"xml"`, `request.encoding: is "xml": give one of json, form`},
		{`"encoding":"json","method":"GET"`, `request.encoding: is "json", and a GET has no body`},
		{`"method":"DELETE"`, `request.method: is "DELETE": give one of POST, PUT, GET`},
		{`"method":"get"`, `request.method: is "get"`},
		{`"headers":["a"]`, `request.headers: is a list: give an object`},
		{`"headers":{` + many[1:] + `}`, `request.headers: has 21 members: give at most 20`},
		{`"headers":{` + large[1:] + `}`, `request.headers: has 8012 bytes in all: give at most 6000`},
		{`"headers":{"x":1}`, header + `x: is a number: give a string`},
		{`"headers":{"x":null}`, header + `x: is null: give a string`},
		{`"headers":{"":"a"}`, header + `: is not the name of a header`},
		{`"headers":{"a b":"a"}`, header + `a b: is not the name of a header`},
		{`"headers":{"a:":"a"}`, header + `a:: is not the name of a header`},
		{`"headers":{"é":"a"}`, header + `é: is not the name of a header`},
		{`"headers":{"a\r\nb":"a"}`, header + "a\r\nb: is not the name of a header"},
		{`"headers":{"Webhook-Id":"a"}`, header + `Webhook-Id: is a header that rowhook sets itself`},
		{`"headers":{"HOST":"a"}`, header + `HOST: is a header that rowhook sets itself`},
		{`"headers":{"Content-Length":"0"}`, header + `Content-Length: is a header that rowhook sets itself`},
		{`"headers":{"transfer-encoding":"chunked"}`, header + `transfer-encoding: is a header that rowhook sets itself`},
		{`"headers":{"connection":"close"}`, header + `connection: is a header that rowhook sets itself`},
		{`"headers":{"Proxy-Authorization":"a"}`, header + `Proxy-Authorization: is a header that rowhook sets itself`},
		{`"headers":{"stripe-signature":"a"}`, header + `stripe-signature: is a header that rowhook sets itself`},
		{`"headers":{"x":"hunter2\r\nY: z"}`, header + `x: holds a character that is not printable ASCII`},
		{`"headers":{"x":"hunter2é"}`, header + `x: holds a character that is not printable ASCII`},
		{`"headers":{"x":" hunter2"}`, header + `x: begins or ends with a space`},
		{`"headers":{"x":"` + strings.Repeat("a", 2001) + `"}`, header + `x: has more than 2000 bytes`},
		{`"headers":{"x":"***"}`, header + `x: is ***, which stands for a value that is stored, and none is`},
		{`"headers":{"x":"a","X":"b"}`, header + `X: is given twice: upper and lower case are the same`},
		{`"auth":"hunter2"`, `request.auth: is a string: give an object`},
		{`"auth":{"token":"hunter2"}`, auth + `type: is required: give one of bearer, basic, header, oauth2`},
		{`"auth":{"type":"baerer","token":"hunter2"}`, auth + `type: is "baerer": did you mean "bearer"?`},
		{`"auth":{"type":"bearer"}`, auth + `token: is required with type "bearer"`},
		{`"auth":{"type":"bearer","token":7}`, auth + `token: is a number: give a string`},
		{`"auth":{"type":"bearer","token":"Bearer hunter2"}`, auth + `token: holds a space: give the token alone`},
		{`"auth":{"type":"bearer","token":"hunter2\n"}`, auth + `token: begins or ends with a space`},
		{`"auth":{"type":"bearer","token":"***"}`, auth + `token: is ***, which stands for a value`},
		{`"auth":{"type":"bearer","tokn":"hunter2","token":"a"}`, auth + `tokn: "tokn" is not a field: did you mean "token"?`},
		{`"auth":{"type":"basic","username":"a:b"}`, auth + `username: holds a colon`},
		{`"auth":{"type":"basic","username":"a","password":"hunter2\u0000"}`, auth + `password: holds the control character U+0000`},
		{`"auth":{"type":"header","name":"host","value":"hunter2"}`, auth + `name: is a header that rowhook sets itself`},
		{`"auth":{"type":"header","name":"x"}`, auth + `value: is required`},
		{`"auth":{"type":"header","name":"x-key","value":"hunter2"},"headers":{"X-Key":"b"}`, header + `X-Key: is sent by "auth" too`},
		{`"auth":{"type":"bearer","token":"hunter2"},"headers":{"authorization":"b"}`, header + `authorization: is sent by "auth" too`},
		{`"auth":{"type":"oauth2","token_url":"http://example.com","client_id":"a","client_secret":"hunter2"}`, auth + `token_url: is http: give an https URL`},
		{`"auth":{"type":"oauth2","token_url":"https://a:hunter2@example.com","client_id":"a","client_secret":"hunter2"}`, auth + `token_url: has credentials`},
		{`"auth":{"type":"oauth2","token_url":"https://10.0.0.1","client_id":"a","client_secret":"hunter2"}`, auth + `token_url: `},
		{`"custom_data":7`, `request.custom_data: is a number: give an object`},
		{`"custom_data":{"a":"` + strings.Repeat("a", 4000) + `"}`, `request.custom_data: takes 4008 bytes as JSON: give at most 4000`},
		{`"custom_data":{"a":1},"format":"representation"`, `request.custom_data: has no place in the format "representation"`},
		{`"custom_data":{"a":[]},"format":"cloudevents"`, `request.custom_data.a: is no value for an extension of CloudEvents`},
		{`"custom_data":{"a":1.5},"format":"cloudevents"`, `request.custom_data.a: is no value for an extension of CloudEvents: give a whole number`},
		{`"custom_data":{"a":2147483648},"format":"cloudevents"`, `request.custom_data.a: is no value for an extension of CloudEvents: give a whole number`},
		{`"custom_data":{"aB":1},"format":"cloudevents"`, `request.custom_data.aB: is no name for an extension of CloudEvents`},
	} {
		_, err := rules(account42).New([]byte(withRequest(c.members)))
		list := mistakesOf(t, err)
		if len(list) != 1 || !strings.HasPrefix(list[0], c.want) {
			t.Errorf("%.150s:\n got %q\nwant %q", c.members, list, c.want)
		}
		if strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: the error shows a secret: %v", c.members, err)
		}
	}
	_, err := rules(account42).New([]byte(`{"event":"*","target_url":"https://u:p@example.com/","request":{"auth":{"type":"bearer","token":"hunter2"}}}`))
	if list := mistakesOf(t, err); len(list) != 1 || !strings.HasPrefix(list[0], "request.auth: is sent in the header Authorization, as are the credentials of target_url") {
		t.Errorf("two logins: %q", list)
	}
}

// everything is a request block that leaves nothing out, with oauth2 in the place of the login where that is given.
const everything = `"format":"cloudevents","signature":"github","encoding":"form","method":"PUT",` +
	`"headers":{"X-Tenant":"hunter2-header","secret_access_key":"hunter2-key"},"custom_data":{"z":"<é>","a":10}`

var logins = []string{
	`{"type":"bearer","token":"hunter2-token"}`,
	`{"type":"basic","username":"hunter2-user","password":"hunter2-password"}`,
	`{"type":"header","name":"secret_access_key2","value":"hunter2-value"}`,
	`{"type":"oauth2","token_url":"https://login.example.com/token","client_id":"hunter2-id","client_secret":"hunter2-secret","scope":"a b","audience":"hooks"}`,
}

// subscribe makes a subscription of a body.
func subscribe(t testing.TB, body string) *sub {
	t.Helper()
	s, err := rules(account42).New([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return s
}

// TestRequestIsWriteOnlyAndStays: what GET gave can be PUT and PATCHed, travels through the store and the index, and tells no
// secret.
func TestRequestIsWriteOnlyAndStays(t *testing.T) {
	t.Parallel()
	for _, login := range logins {
		s := subscribe(t, withRequest(everything+`,"auth":`+login))
		s.Key, s.Version = 1, 1
		before := s.Clone()
		shown, err := json.Marshal(s.Shown(true))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(shown), "hunter2") || strings.Count(string(shown), `"***"`) < 3 {
			t.Errorf("shown: %s", shown)
		}
		if !strings.Contains(string(shown), `"custom_data":{"z":"\u003cé\u003e","a":10}`) {
			t.Errorf("custom_data is not as it was given: %s", shown)
		}
		if text := fmt.Sprintf("%v %+v", s.Request, *s.Request.Auth); strings.Contains(text, "hunter2") {
			t.Errorf("printed: %s", text)
		}
		for _, body := range []string{string(shown), `{}`, `{"request":{}}`, `{"request":{"auth":{"type":"` + s.Request.Auth.Type + `"}}}`} {
			if err := rules(account42).Patch(s, []byte(body)); err != nil || !reflect.DeepEqual(s, before) {
				t.Errorf("Patch %s: %v\n got %+v\nwant %+v", body, err, s, before)
			}
		}
		if err := rules(account42).Replace(s, shown); err != nil || !reflect.DeepEqual(s, before) {
			t.Errorf("Replace: %v\n got %+v\nwant %+v", err, s.Request, before.Request)
		}
		stored, err := subscriptions.EncodeRequest(s.Request)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := subscriptions.DecodeRequest(stored); err != nil || !reflect.DeepEqual(got, s.Request) {
			t.Errorf("the store: %v\n got %+v\nwant %+v", err, got, s.Request)
		}
		x := subscriptions.NewIndex()
		x.Put(s)
		if got := x.Get(s.ID); !reflect.DeepEqual(got.Request, s.Request) {
			t.Errorf("the index: got %+v, want %+v", got.Request, s.Request)
		}
		if got := s.Clone(); &got.Request.Headers[0] == &s.Request.Headers[0] || got.Request.Auth == s.Request.Auth {
			t.Error("a clone shares what can be changed")
		}
		if err := rules(account42).Replace(s, []byte(`{"event":"*","target_url":"https://example.com/h"}`)); err != nil || s.Request != nil {
			t.Errorf("left out: %+v, %v", s.Request, err)
		}
	}
}

// TestDefaultsOfRequestAreNothing: who says what is done anyway has no request block, neither in the store nor in the index.
func TestDefaultsOfRequestAreNothing(t *testing.T) {
	t.Parallel()
	for _, members := range []string{``, `"format":"standard","signature":"standard","encoding":"json","method":"POST","headers":{},"auth":{},"custom_data":{}`,
		`"format":null,"auth":null`} {
		if s := subscribe(t, withRequest(members)); s.Request != nil || s.RequestFormat() != "standard" || s.RequestSignature() != "standard" {
			t.Errorf("%s: %+v", members, s.Request)
		}
	}
	s := subscribe(t, withRequest(`"format":"rest_hooks"`))
	if s.RequestSignature() != "rest_hooks" || s.Request.Signature != "" {
		t.Errorf("rest_hooks: %+v", s.Request)
	}
	s = subscribe(t, withRequest(`"format":"rest_hooks","signature":"standard"`))
	if s.RequestSignature() != "standard" {
		t.Errorf("rest_hooks, signed otherwise: %+v", s.Request)
	}
	if s = subscribe(t, withRequest(`"method":"GET"`)); !s.Request.IsForm() {
		t.Error("a GET has its form in the query")
	}
	if stored, err := subscriptions.EncodeRequest(nil); stored != nil || err != nil {
		t.Errorf("none is stored as %q, %v", stored, err)
	}
}

// TestSecretsOfRequestStayAtTheirServer: whoever may change a subscription is not to learn what it sends by naming a server of
// his own.
func TestSecretsOfRequestStayAtTheirServer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ patch, want string }{
		{`{"target_url":"https://example.com/other"}`, ""},
		{`{"target_url":"https://evil.example/h"}`, "request.headers.X-Tenant: is ***, and was stored for another server: give the value again"},
		{`{"target_url":"https://example.com:444/h"}`, "request.headers.X-Tenant: is ***"},
		{`{"request":{"auth":{"token_url":"https://login.example.com/other"}}}`, ""},
		{`{"request":{"auth":{"token_url":"https://evil.example/token"}}}`, "request.auth.client_id: is ***, and was stored for another server"},
		{`{"request":{"auth":{"type":"bearer","token":"new"}}}`, ""},
		{`{"request":{"auth":{"type":"bearer"}}}`, `request.auth.token: is required with type "bearer"`},
		{`{"request":{"headers":{"X-Tenant":null}}}`, ""},
		{`{"request":{"headers":{"x-other":"***"}}}`, "request.headers.x-other: is ***, which stands for a value that is stored, and none is"},
		{`{"request":null}`, ""},
		{`{"request":{"format":"representation"}}`, "request.custom_data: has no place"},
		{`{"target_url":"https://evil.example/h","request":{"auth":null,"headers":{"X-Tenant":"a","secret_access_key":"b"}}}`, ""},
	} {
		s := subscribe(t, withRequest(everything+`,"auth":`+logins[3]))
		err := rules(account42).Patch(s, []byte(c.patch))
		list := mistakesOf(t, err)
		if c.want == "" && err != nil || c.want != "" && (len(list) == 0 || !strings.HasPrefix(list[0], c.want)) {
			t.Errorf("%s: got %q, want %q", c.patch, list, c.want)
		}
	}
}

func TestPublicKeyIsShown(t *testing.T) {
	t.Parallel()
	s := subscribe(t, withRequest(`"signature":"standard_v1a"`))
	private, err := s.Secrets[0].Ed25519()
	if err != nil {
		t.Fatal(err)
	}
	want := "whpk_" + base64.StdEncoding.EncodeToString(private[32:])
	if v := s.Shown(false); v.SignaturePublicKey != want || v.Secret != "" {
		t.Errorf("shown %q, want %q", v.SignaturePublicKey, want)
	}
	other, _ := subscribe(t, withRequest(`"signature":"standard_v1a"`)).Secrets[0].Ed25519()
	if private.Equal(other) {
		t.Error("two secrets have one key")
	}
	if v := subscribe(t, with(`"name":"n"`)).Shown(false); v.SignaturePublicKey != "" {
		t.Errorf("shown without being asked for: %q", v.SignaturePublicKey)
	}
	// What signs must stay the same from version to version.
	fixed := subscribe(t, with(`"secret":"`+goodSecret+`","request":{"signature":"standard_v1a"}`))
	if got, want := fixed.Shown(false).SignaturePublicKey, "whpk_+PrCcVrlyLzuJYiisLl5bALlKLHBgn8ZAtE9gcQYO0w="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestRequestTakesItsOwnBytesInTheIndex, and none where there is none.
func TestRequestTakesItsOwnBytesInTheIndex(t *testing.T) {
	t.Parallel()
	plain, other := subscriptions.NewIndex(), subscriptions.NewIndex()
	for i := range 20_000 {
		s := &sub{Key: int64(i + 1), ID: fmt.Sprint(i), Version: 1, Admin: true, Events: []string{"*"}, State: subscriptions.Active, TargetURL: "https://example.com/"}
		plain.Put(s)
		c := s.Clone()
		c.Request = &subscriptions.Request{Format: "thin"}
		other.Put(c)
	}
	if per := (other.Size() - plain.Size()) / 20_000; per < 10 || per > 60 {
		t.Errorf("a short request block takes %d bytes in the index", per)
	}
	ev := &mapping.Event{Type: "contact.create", Resource: "contact"}
	ev.Position.Commit = 1
	if got := plain.Match(nil, ev); len(got) != 20_000 || got[0].Request != nil {
		t.Errorf("matched %d, the first with %+v", len(got), got[0].Request)
	}
}
