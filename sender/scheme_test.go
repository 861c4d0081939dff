package sender

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/sender/internal/http1"
	"github.com/rowhook/rowhook/subscriptions"
)

// slackBody is that of the example in Slack's documentation, and of its libraries' tests.
const slackBody = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&" +
	"user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F" +
	"96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"

// TestVectors are those that the vendors, or their libraries' tests, have published.
func TestVectors(t *testing.T) {
	t.Parallel()
	asymmetric, err := base64.StdEncoding.DecodeString("6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==")
	if err != nil {
		t.Fatal(err)
	}
	const twilio = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212"
	for _, c := range []struct {
		scheme string
		key    string
		in     signable
		want   string
	}{
		{"github", "It's a Secret to Everybody", signable{content: []byte("Hello, World!")},
			"X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		{"stripe", "whsec_test_secret", signable{timestamp: "1492774577", content: []byte(`{"id":"evt_test_webhook","object":"event"}`)},
			"Stripe-Signature: t=1492774577,v1=88a022085c6bdb887b02cb26ff76dd681234d9675c0f22844059f55552a8883a"},
		{"slack", "8f742231b10e8888abcd99yyyzzz85a5", signable{timestamp: "1531420618", content: []byte(slackBody)},
			"X-Slack-Signature: v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503 X-Slack-Request-Timestamp: 1531420618"},
		{"twilio", "12345", signable{url: "https://mycompany.com/myapp.php?foo=1&bar=2", form: true, content: []byte(twilio)},
			"X-Twilio-Signature: RSOYDt4T1cUTdK1PDd93/VVr8B8="},
		{"twilio", "12345", signable{url: "https://mycompany.com/myapp.php?foo=1&bar=2", form: true,
			content: []byte("Reason=Participant&ReasonConferenceEnded=test&" + twilio)}, "X-Twilio-Signature: vOEb5UThFn24KEfnOFLQY2AE5FY="},
		{"rest_hooks", "key", signable{content: []byte("The quick brown fox jumps over the lazy dog")},
			"X-Hook-Signature: f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"},
		{"standard_v1a", string(asymmetric), signable{id: specID, timestamp: fmt.Sprint(specTime), content: []byte(specBody)},
			"Webhook-Signature: v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="},
	} {
		if got := shownFields(schemes[c.scheme].headers([][]byte{[]byte(c.key)}, &c.in)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.scheme, got, c.want)
		}
	}
	const vonage = "message-timestamp=2013-11-21+15%3A27%3A30&messageId=020000001B0FE827&msisdn=14843472194&text=Test+again&timestamp=1385047698&" +
		"to=13239877404&type=text"
	p := schemes["vonage"].parameter([]byte("my_secret_key_for_testing"), parametersOf(vonage))
	if want := (parameter{"sig", "DDB8397C2B90AAC7F3882D306475C9A5058C92322EEF43C92B298B6E0FC0D330"}); p != want {
		t.Errorf("vonage: got %v, want %v", p, want)
	}
	// Values cannot be taken for other fields.
	if one, two := schemes["vonage"].parameter(nil, []parameter{{"a", "b&c=d"}}), schemes["vonage"].parameter(nil, []parameter{{"a", "b"}, {"c", "d"}}); one == two {
		t.Error("vonage: a value reads like a field")
	}
	// A field that comes twice counts with each value once, in their order.
	one := schemes["twilio"].headers([][]byte{nil}, &signable{form: true, content: []byte("a=2&a=1&a=2")})
	if two := schemes["twilio"].headers([][]byte{nil}, &signable{form: true, content: []byte("a=1&a=2")}); shownFields(one) != shownFields(two) {
		t.Error("twilio: repeated fields")
	}
}

func shownFields(fields []http1.Field) string {
	var all []string
	for _, f := range fields {
		all = append(all, f.Name+": "+f.Value)
	}
	return strings.Join(all, " ")
}

// TestEverySignatureHasAScheme, and none has a scheme that nobody can ask for.
func TestEverySignatureHasAScheme(t *testing.T) {
	t.Parallel()
	for _, name := range subscriptions.Signatures {
		if _, ok := schemes[name]; !ok {
			t.Errorf("%s has none", name)
		}
	}
	if len(schemes) != len(subscriptions.Signatures) {
		t.Errorf("%d schemes for %d signatures", len(schemes), len(subscriptions.Signatures))
	}
}

// TestRotationOfSchemes: while two secrets sign, a receiver that has only one of them gets each event with its first or its
// second attempt.
func TestRotationOfSchemes(t *testing.T) {
	t.Parallel()
	at := time.Unix(specTime, 0)
	secrets := []subscriptions.SigningSecret{{Secret: newSecret}, {Secret: specSecret, Until: at}}
	alone := func(name string, s secret.String) string {
		x := schemes[name]
		keys, err := x.keysOf(signing(s))
		if err != nil {
			t.Fatal(err)
		}
		valid, err := x.keysAt(keys, at, 1)
		if err != nil {
			t.Fatal(err)
		}
		return made(x, valid)
	}
	for _, name := range subscriptions.Signatures {
		x := schemes[name]
		if x.key == nil {
			continue
		}
		keys, err := x.keysOf(secrets)
		if err != nil {
			t.Fatal(err)
		}
		attempt := func(at time.Time, number int) string {
			valid, err := x.keysAt(keys, at, number)
			if err != nil {
				t.Fatal(err)
			}
			return made(x, valid)
		}
		first, second, third, later := attempt(at, 1), attempt(at, 2), attempt(at, 3), attempt(at.Add(time.Second), 2)
		newest, old := alone(name, newSecret), alone(name, specSecret)
		if later != newest {
			t.Errorf("%s: after the rotation it is %s", name, later)
		}
		if x.several {
			value := func(s string) string { return s[strings.LastIndexAny(s, " ,")+1:] }
			if first != second || !strings.Contains(first, value(newest)) || !strings.Contains(first, value(old)) {
				t.Errorf("%s: got %s, want both of %s and %s", name, first, newest, old)
			}
		} else if first != newest || second != old || third != newest || newest == old {
			t.Errorf("%s: got %s, %s, %s, want turns of %s and %s", name, first, second, third, newest, old)
		}
		if _, err := x.keysAt(keys[1:], at.Add(time.Second), 1); err == nil {
			t.Errorf("%s: signed with a secret that is over", name)
		}
		if _, err := x.keysOf(nil); err == nil {
			t.Errorf("%s: signed without a secret", name)
		}
		if _, err := x.keysOf(signing(specSecret, "whsec_secret-value!")); err == nil || strings.Contains(err.Error(), "secret-value") {
			t.Errorf("%s: a secret that is none: %v", name, err)
		}
	}
}

// made is what a scheme makes of a request with the keys.
func made(x scheme, keys [][]byte) string {
	if x.parameter != nil {
		p := x.parameter(keys[0], []parameter{{"a", "b"}})
		return p.name + "=" + p.value
	}
	return shownFields(x.headers(keys, &signable{id: "evt_1", timestamp: "1", url: "https://example.com/", content: []byte("{}")}))
}

// TestKeysAreThoseThatReceiversHave: the vendors' receivers take the text of the secret, REST Hooks and Standard Webhooks what
// it stands for.
func TestKeysAreThoseThatReceiversHave(t *testing.T) {
	t.Parallel()
	decoded, err := subscriptions.SigningSecret{Secret: specSecret}.Key()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"github": specSecret, "stripe": specSecret, "slack": specSecret, "twilio": specSecret, "vonage": specSecret,
		"rest_hooks": string(decoded)} {
		keys, err := schemes[name].keysOf(signing(specSecret))
		if err != nil || string(keys[0].bytes) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPublicKeyVerifies: what the owner of a subscription is shown checks what arrives.
func TestPublicKeyVerifies(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	s := &subscriptions.Subscription{ID: "sub_1", TargetURL: secret.String(r.URL("/")), Secrets: signing(newSecret, specSecret),
		Request: &subscriptions.Request{Signature: "standard_v1a"}}
	if out := shapedTarget(t, s).once(t.Context(), 10*time.Second); out.Verdict != Delivered {
		t.Fatalf("%+v", out)
	}
	got := r.Requests()[0]
	sent := strings.Fields(got.Header.Get("Webhook-Signature"))
	if len(sent) != 2 || slices.ContainsFunc(sent, func(s string) bool { return !strings.HasPrefix(s, "v1a,") }) {
		t.Fatalf("signed as %q", sent)
	}
	text := got.ID + "." + got.Header.Get("Webhook-Timestamp") + "." + string(got.Body)
	for i, one := range []secret.String{newSecret, specSecret} {
		owner := s.Clone()
		owner.Secrets = signing(one)
		public, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(owner.Shown(false).SignaturePublicKey, "whpk_"))
		if err != nil {
			t.Fatal(err)
		}
		signature, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sent[i], "v1a,"))
		if err != nil || !ed25519.Verify(public, []byte(text), signature) {
			t.Errorf("signature %d does not verify: %v", i, err)
		}
		if ed25519.Verify(public, []byte(text+" "), signature) {
			t.Error("another body verifies")
		}
	}
}
