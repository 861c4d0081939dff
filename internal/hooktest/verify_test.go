package hooktest

import (
	"errors"
	"net/http"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	vectorSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID     = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime   = "1614265330"
	vectorBody   = `{"test": 2432232314}`
	vectorV1     = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	vectorPublic = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
	vectorV1a    = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)

// signed is a request as it would have arrived at the time of its signature.
func signed(id, timestamp, body, signature string) Request {
	r := Request{Header: http.Header{}, Body: []byte(body)}
	for name, value := range map[string]string{"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	r.fromHeader()
	r.At = r.Timestamp
	return r
}

func TestVerifyVectors(t *testing.T) {
	t.Parallel()
	const rotated = "v1,O4Gjv1HqPqsMrjmczoggs/sWA8gZD0VyHG+fLh4+ktI= " + vectorV1
	tests := []struct {
		name, secret, timestamp, body, signature string
	}{
		{"Specification", vectorSecret, vectorTime, vectorBody, vectorV1},
		{"SecretWithoutPrefix", vectorSecret[len("whsec_"):], vectorTime, vectorBody, vectorV1},
		{"Asymmetric", vectorPublic, vectorTime, vectorBody, vectorV1a},
		{"Minified", vectorSecret, vectorTime, `{"test":2432232314}`, "v1,Vif40peJBP7Iyl0XGmu61n4MwdrcHov5CFREBpE0svs="},
		{"Retry", vectorSecret, "1614265335", vectorBody, "v1,IFrHNvFdSlxTmO/uOkpKdCwyVAkNxveF9T56NbTULfE="},
		{"EmptyBody", vectorSecret, vectorTime, "", "v1,v48jdbgvh29KJz2Qc+ghw8G6vG3nAKnujWBg8oM/62A="},
		{"UTF8", vectorSecret, vectorTime, `{"name":"Žluťoučký 😀"}`, "v1,CqGCGOulzHN8YGeKzwQDxKAyRN/d6WMftJw6fEAgJ5U="},
		{"RotationNewSecret", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", vectorTime, vectorBody, rotated},
		{"RotationOldSecret", vectorSecret, vectorTime, vectorBody, rotated},
		{"UnknownVersionFirst", vectorSecret, vectorTime, vectorBody, "v2,AAAA " + vectorV1},
		{"BothKinds", vectorPublic, vectorTime, vectorBody, vectorV1 + " " + vectorV1a},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := signed(vectorID, tt.timestamp, tt.body, tt.signature)
			if err := r.Verify(tt.secret); err != nil {
				t.Error(err)
			}
			r.Body = append(r.Body, ' ')
			if err := r.Verify(tt.secret); !errors.Is(err, standardwebhooks.ErrNoMatchingSignature) {
				t.Errorf("a changed body: got %v", err)
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	late := func(by time.Duration) Request {
		r := signed(vectorID, vectorTime, vectorBody, vectorV1)
		r.At = r.At.Add(by)
		return r
	}
	tests := []struct {
		name    string
		request Request
		secret  string
		want    error // nil: any
	}{
		{"NoID", signed("", vectorTime, vectorBody, vectorV1), vectorSecret, standardwebhooks.ErrRequiredHeaders},
		{"NoTimestamp", signed(vectorID, "", vectorBody, vectorV1), vectorSecret, standardwebhooks.ErrRequiredHeaders},
		{"NoSignature", signed(vectorID, vectorTime, vectorBody, ""), vectorSecret, standardwebhooks.ErrRequiredHeaders},
		{"NoSignatureAsymmetric", signed(vectorID, vectorTime, vectorBody, ""), vectorPublic, standardwebhooks.ErrRequiredHeaders},
		{"OtherID", signed("msg_other", vectorTime, vectorBody, vectorV1), vectorSecret, standardwebhooks.ErrNoMatchingSignature},
		{"PartialSignature", signed(vectorID, vectorTime, vectorBody, vectorV1[:20]), vectorSecret, standardwebhooks.ErrNoMatchingSignature},
		{"EmptySignature", signed(vectorID, vectorTime, vectorBody, "v1,"), vectorSecret, standardwebhooks.ErrNoMatchingSignature},
		{"WrongKind", signed(vectorID, vectorTime, vectorBody, vectorV1), vectorPublic, standardwebhooks.ErrNoMatchingSignature},
		{"NoNumber", signed(vectorID, "yesterday", vectorBody, vectorV1), vectorSecret, standardwebhooks.ErrInvalidHeaders},
		{"TooOld", late(6 * time.Minute), vectorSecret, standardwebhooks.ErrMessageTooOld},
		{"TooNew", late(-6 * time.Minute), vectorSecret, standardwebhooks.ErrMessageTooNew},
		{"EmptySecret", signed(vectorID, vectorTime, vectorBody, vectorV1), "whsec_", nil},
		{"BadSecret", signed(vectorID, vectorTime, vectorBody, vectorV1), "whsec_?", nil},
		{"BadPublicKey", signed(vectorID, vectorTime, vectorBody, vectorV1a), "whpk_AAAA", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.request.Verify(tt.secret)
			if err == nil {
				t.Fatal("got no error")
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}
