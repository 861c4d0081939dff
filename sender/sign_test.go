package sender

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

const (
	specSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	newSecret  = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	specID     = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	specTime   = 1614265330
	specBody   = `{"test": 2432232314}`
	specMAC    = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func signing(secrets ...secret.String) []subscriptions.SigningSecret {
	var out []subscriptions.SigningSecret
	for _, s := range secrets {
		out = append(out, subscriptions.SigningSecret{Secret: s})
	}
	return out
}

// TestSignatures has the vector of the specification and of its libraries, and others computed from it.
func TestSignatures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		secrets []subscriptions.SigningSecret
		at      int64
		body    string
		want    string
	}{
		{"Specification", signing(specSecret), specTime, specBody, specMAC},
		{"Minified", signing(specSecret), specTime, `{"test":2432232314}`, "v1,Vif40peJBP7Iyl0XGmu61n4MwdrcHov5CFREBpE0svs="},
		{"RetryHasAnotherTime", signing(specSecret), specTime + 5, specBody, "v1,IFrHNvFdSlxTmO/uOkpKdCwyVAkNxveF9T56NbTULfE="},
		{"EmptyBody", signing(specSecret), specTime, "", "v1,v48jdbgvh29KJz2Qc+ghw8G6vG3nAKnujWBg8oM/62A="},
		{"UTF8", signing(specSecret), specTime, `{"name":"Žluťoučký 😀"}`, "v1,CqGCGOulzHN8YGeKzwQDxKAyRN/d6WMftJw6fEAgJ5U="},
		{"Rotation", signing(newSecret, specSecret), specTime, specBody, "v1,O4Gjv1HqPqsMrjmczoggs/sWA8gZD0VyHG+fLh4+ktI= " + specMAC},
		{"RotatedOut", []subscriptions.SigningSecret{{Secret: specSecret}, {Secret: newSecret, Until: time.Unix(specTime-1, 0)}}, specTime, specBody, specMAC},
		{"NotYetRotatedOut", []subscriptions.SigningSecret{{Secret: newSecret}, {Secret: specSecret, Until: time.Unix(specTime, 0)}}, specTime, specBody,
			"v1,O4Gjv1HqPqsMrjmczoggs/sWA8gZD0VyHG+fLh4+ktI= " + specMAC},
		{"NoneIsValid", []subscriptions.SigningSecret{{Secret: specSecret, Until: time.Unix(1, 0)}}, specTime, specBody, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := newSigner(c.secrets)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time with MACs that have been used
				if got := string(s.sign(nil, specID, time.Unix(c.at, 0), []byte(c.body))); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			}
		})
	}
}

func TestSignaturesPassTheReferenceLibrary(t *testing.T) {
	t.Parallel()
	s, err := newSigner(signing(newSecret, specSecret))
	if err != nil {
		t.Fatal(err)
	}
	now, body := time.Now(), []byte(`{"a":1}`)
	h := http.Header{}
	h.Set("webhook-id", "evt_1")
	h.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	h.Set("webhook-signature", string(s.sign(nil, "evt_1", now, body)))
	for _, key := range []string{specSecret, newSecret} {
		w, err := standardwebhooks.NewWebhook(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Verify(body, h); err != nil {
			t.Errorf("%v", err)
		}
		if err := w.Verify([]byte(`{"a":2}`), h); err == nil {
			t.Error("another body passes")
		}
	}
}

func TestSecretsAreNotInErrors(t *testing.T) {
	t.Parallel()
	for name, secrets := range map[string][]subscriptions.SigningSecret{
		"None":      nil,
		"NoPrefix":  signing("c2VjcmV0LXZhbHVlLXNlY3JldC12YWx1ZQ=="),
		"NotBase64": signing(specSecret, "whsec_secret-value!"),
		"TooShort":  signing("whsec_c2VjcmV0"),
	} {
		_, err := newSigner(secrets)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, s := range secrets {
			if strings.Contains(err.Error(), strings.TrimPrefix(s.Secret.Reveal(), "whsec_")) {
				t.Errorf("%s: secret shown in %q", name, err)
			}
		}
	}
}
