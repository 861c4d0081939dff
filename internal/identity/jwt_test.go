package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"github.com/rowhook/rowhook/internal/secret"
)

// Keys of the tests: made once, since that takes long.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })
	otherRSA = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader); return k })
	edKey    = sync.OnceValue(func() ed25519.PrivateKey { _, k, _ := ed25519.GenerateKey(rand.Reader); return k })
)

const shared = "0123456789abcdef0123456789abcdef"

func publicPEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// claims are good ones, with changes over them. A nil value takes a claim out.
func claims(changes map[string]any) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": "https://issuer.example", "aud": "crm", "sub": "user-7", "org": map[string]any{"id": 42}, "scope": "read write",
		"exp": time.Now().Add(5 * time.Minute).Unix(),
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// sign makes a token. Header names and values go over the algorithm's.
func sign(t testing.TB, method jwt.SigningMethod, key any, c jwt.MapClaims, header ...any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	for i := 0; i < len(header); i += 2 {
		token.Header[header[i].(string)] = header[i+1]
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func verifying(t testing.TB, c JWT) Source {
	t.Helper()
	if c.Account == nil {
		c.Account, c.Allow = source("org.id"), source(`scope contains "write"`)
	}
	s, err := New(Config{JWT: &c}, Options{UserAgent: "rowhook/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// statusOf is that of the refusal; 0 for none.
func statusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	if err != nil {
		return -1
	}
	return 0
}

// TestTokens is the table of good tokens and of attacks, against a key of the config.
func TestTokens(t *testing.T) {
	t.Parallel()
	s := verifying(t, JWT{Key: secret.String(publicPEM(t, rsaKey().Public())), Issuer: "https://issuer.example", Audience: "crm"})
	good := sign(t, jwt.SigningMethodRS256, rsaKey(), claims(nil))
	parts := strings.Split(good, ".")
	encode := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	signed := func(changes map[string]any) string { return sign(t, jwt.SigningMethodRS256, rsaKey(), claims(changes)) }
	now := time.Now()
	// The public key, as text and as bytes, as if it were a secret.
	hmacWith := func(key []byte) string {
		text := encode(map[string]any{"alg": "HS256", "typ": "JWT"}) + "." + parts[1]
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	der, _ := x509.MarshalPKIXPublicKey(rsaKey().Public())
	for _, tt := range []struct {
		name, token string
		want        Identity
		status      int
		detail      string
	}{
		{"Good", good, Identity{"42", true}, 0, ""},
		{"PSS", sign(t, jwt.SigningMethodPS256, rsaKey(), claims(nil)), Identity{"42", true}, 0, ""},
		{"Reader", signed(map[string]any{"scope": "read"}), Identity{"42", false}, 0, ""},
		{"NoScope", signed(map[string]any{"scope": nil}), Identity{"42", false}, 0, ""},
		{"SeveralAudiences", signed(map[string]any{"aud": []string{"other", "crm"}}), Identity{"42", true}, 0, ""},
		{"LargeAccount", signed(map[string]any{"org": map[string]any{"id": json.Number("9223372036854775809")}}), Identity{"9223372036854775809", true}, 0, ""},
		{"JustExpired", signed(map[string]any{"exp": now.Add(-50 * time.Second).Unix()}), Identity{"42", true}, 0, ""},
		{"SoonValid", signed(map[string]any{"nbf": now.Add(50 * time.Second).Unix()}), Identity{"42", true}, 0, ""},
		{"AnyKeyID", sign(t, jwt.SigningMethodRS256, rsaKey(), claims(nil), "kid", "x"), Identity{"42", true}, 0, ""},

		{"Expired", signed(map[string]any{"exp": now.Add(-70 * time.Second).Unix()}), Identity{}, 401, "expired"},
		{"NeverExpires", signed(map[string]any{"exp": nil}), Identity{}, 401, "lacks a claim"},
		{"ExpiryIsText", signed(map[string]any{"exp": "9999999999"}), Identity{}, 401, "not good"},
		{"ExpiryOverflows", signed(map[string]any{"exp": json.Number("1e300")}), Identity{}, 401, ""},
		{"NotYet", signed(map[string]any{"nbf": now.Add(70 * time.Second).Unix()}), Identity{}, 401, "not valid yet"},
		{"OtherAudience", signed(map[string]any{"aud": "billing"}), Identity{}, 401, "another audience"},
		{"AudiencePrefix", signed(map[string]any{"aud": "crm2"}), Identity{}, 401, "another audience"},
		{"NoAudience", signed(map[string]any{"aud": nil}), Identity{}, 401, "lacks a claim"},
		{"OtherIssuer", signed(map[string]any{"iss": "https://evil.example"}), Identity{}, 401, "another issuer"},
		{"NoIssuer", signed(map[string]any{"iss": nil}), Identity{}, 401, ""},
		{"NoAccount", signed(map[string]any{"org": nil}), Identity{}, 403, "no account"},
		{"EmptyAccount", signed(map[string]any{"org": map[string]any{"id": ""}}), Identity{}, 403, "no account"},
		{"AdminAccount", signed(map[string]any{"org": map[string]any{"id": "*"}}), Identity{}, 403, "no account"},
		{"AccountIsAList", signed(map[string]any{"org": map[string]any{"id": []int{1}}}), Identity{}, 502, ""},

		{"None", encode(map[string]any{"alg": "none"}) + "." + parts[1] + ".", Identity{}, 401, ""},
		{"NoneInCapitals", encode(map[string]any{"alg": "NONE"}) + "." + parts[1] + ".", Identity{}, 401, ""},
		{"NoneWithSignature", encode(map[string]any{"alg": "none"}) + "." + parts[1] + "." + parts[2], Identity{}, 401, ""},
		{"NoAlgorithm", encode(map[string]any{"typ": "JWT"}) + "." + parts[1] + "." + parts[2], Identity{}, 401, ""},
		{"PublicKeyAsSecret", hmacWith([]byte(publicPEM(t, rsaKey().Public()))), Identity{}, 401, "signature or algorithm"},
		{"PublicKeyAsSecretTrimmed", hmacWith([]byte(strings.TrimSpace(publicPEM(t, rsaKey().Public())))), Identity{}, 401, ""},
		{"PublicKeyAsSecretInDER", hmacWith(der), Identity{}, 401, ""},
		{"EmptySecret", hmacWith(nil), Identity{}, 401, ""},
		{"OtherKey", sign(t, jwt.SigningMethodRS256, otherRSA(), claims(nil)), Identity{}, 401, "signature"},
		{"OtherKind", sign(t, jwt.SigningMethodES256, ecKey(), claims(nil)), Identity{}, 401, ""},
		{"BringsItsKey", sign(t, jwt.SigningMethodRS256, otherRSA(), claims(nil), "jwk", jwkOf(t, otherRSA().Public(), "x", "")), Identity{}, 401, ""},
		{"Critical", sign(t, jwt.SigningMethodRS256, rsaKey(), claims(nil), "crit", []string{"b64"}, "b64", false), Identity{}, 401, "header"},
		{"ChangedClaims", parts[0] + "." + encode(claims(map[string]any{"org": map[string]any{"id": 7}})) + "." + parts[2], Identity{}, 401, "signature"},
		{"NoSignature", parts[0] + "." + parts[1] + ".", Identity{}, 401, ""},
		{"TwoParts", parts[0] + "." + parts[1], Identity{}, 401, "no JWT"},
		{"FourParts", good + ".x", Identity{}, 401, "no JWT"},
		{"NoJSON", "eA.eA.eA", Identity{}, 401, "no JWT"},
		{"TooLong", strings.Repeat("x", maxToken+1), Identity{}, 401, "too long"},
		{"OurOwnToken", "rowhook-admin-token-of-the-config", Identity{}, 401, "no JWT"},
	} {
		got, err := s.Who(from("Authorization", "Bearer "+tt.token))
		if got != tt.want || statusOf(err) != tt.status || err != nil && !strings.Contains(detail(err), tt.detail) {
			t.Errorf("%s: got %+v, %v, %q", tt.name, got, err, detail(err))
		}
		if err != nil && (strings.Contains(fmt.Sprintf("%+v", err), parts[1]) || tt.status == 401 && !strings.Contains(challenge(err), `error="invalid_token"`)) {
			t.Errorf("%s: told as %+v with %s", tt.name, err, challenge(err))
		}
	}
	for _, headers := range [][]string{
		nil, {"Authorization", ""}, {"Authorization", good}, {"Authorization", "Basic " + good}, {"Authorization", "Bearer"}, {"Cookie", "token=" + good},
		{"Authorization", "Bearer " + good, "Authorization", "Bearer " + good}, {"X-Jwt", good},
	} {
		if _, err := s.Who(from(headers...)); statusOf(err) != 401 || challenge(err) == "" {
			t.Errorf("%v: %v", headers, err)
		}
	}
	for _, scheme := range []string{"bearer ", "BEARER  ", "Bearer "} {
		if _, err := s.Who(from("Authorization", scheme+good)); err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}

func detail(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return ""
}

func challenge(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Header.Get("Www-Authenticate")
	}
	return ""
}

// TestTokenKinds: each kind of key, in a header of its own.
func TestTokenKinds(t *testing.T) {
	t.Parallel()
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	for _, tt := range []struct {
		name   string
		key    string
		sign   any
		method jwt.SigningMethod
		with   []string
		status int
	}{
		{"Secret", shared, []byte(shared), jwt.SigningMethodHS256, nil, 0},
		{"SecretHS512", shared, []byte(shared), jwt.SigningMethodHS512, nil, 0},
		{"SecretNotAllowed", shared, []byte(shared), jwt.SigningMethodHS512, []string{"HS256"}, 401},
		{"OtherSecret", shared, []byte(shared + "x"), jwt.SigningMethodHS256, nil, 401},
		{"RSAAgainstSecret", shared, rsaKey(), jwt.SigningMethodRS256, nil, 401},
		{"EC", publicPEM(t, ecKey().Public()), ecKey(), jwt.SigningMethodES256, nil, 0},
		{"ECOtherCurve", publicPEM(t, p384.Public()), ecKey(), jwt.SigningMethodES256, nil, 401},
		{"EC384", publicPEM(t, p384.Public()), p384, jwt.SigningMethodES384, nil, 0},
		{"Ed25519", publicPEM(t, edKey().Public()), edKey(), jwt.SigningMethodEdDSA, nil, 0},
		{"RSAWithOneAlgorithm", publicPEM(t, rsaKey().Public()), rsaKey(), jwt.SigningMethodRS512, []string{"RS256"}, 401},
	} {
		s := verifying(t, JWT{Key: secret.String(tt.key), Algorithms: tt.with, Header: "cf-access-jwt-assertion"})
		token := sign(t, tt.method, tt.sign, claims(nil))
		for _, text := range []string{token, "Bearer " + token} {
			if got, err := s.Who(from("Cf-Access-Jwt-Assertion", text)); statusOf(err) != tt.status {
				t.Errorf("%s: got %+v, %v", tt.name, got, err)
			}
		}
	}
	short, _ := rsa.GenerateKey(rand.Reader, 1024)
	private, _ := x509.MarshalPKCS8PrivateKey(rsaKey())
	for name, text := range map[string]string{
		"is shorter than 32 bytes":  "hunter2",
		"is a private key":          string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		"an RSA key of less":        publicPEM(t, short.Public()),
		"no key that can be read":   string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("hunter2")})),
		"is PEM, but no public key": string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte("hunter2")})),
		"has no block in it":        "-----BEGIN PUBLIC KEY-----\nhunter2",
	} {
		if _, _, err := ParseKey(secret.String(text)); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// jwkOf is a public key as it is published.
func jwkOf(t testing.TB, key crypto.PublicKey, id, algorithm string) map[string]any {
	t.Helper()
	k, err := jwkset.NewJWKFromKey(key, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: id, ALG: jwkset.ALG(algorithm)}})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(k.Marshal())
	out := map[string]any{}
	_ = json.Unmarshal(b, &out)
	return out
}

// issuer publishes keys.
type issuer struct {
	url   string
	asked atomic.Int64
	mu    sync.Mutex
	keys  []any
	fail  http.HandlerFunc
}

func (i *issuer) publish(keys ...any) { i.mu.Lock(); defer i.mu.Unlock(); i.keys, i.fail = keys, nil }

func (i *issuer) failWith(h http.HandlerFunc) { i.mu.Lock(); defer i.mu.Unlock(); i.fail = h }

func newIssuer(t testing.TB, keys ...any) *issuer {
	t.Helper()
	i := &issuer{keys: keys}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.asked.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.fail != nil {
			i.fail(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": i.keys})
	}))
	t.Cleanup(s.Close)
	i.url = s.URL
	return i
}

// TestKeySet: keys come and go at the issuer.
func TestKeySet(t *testing.T) {
	t.Parallel()
	one, two := jwkOf(t, rsaKey().Public(), "one", "RS256"), jwkOf(t, ecKey().Public(), "two", "")
	secretKey := map[string]any{"kty": "oct", "kid": "secret", "k": base64.RawURLEncoding.EncodeToString([]byte(shared))}
	encryption := maps.Clone(jwkOf(t, otherRSA().Public(), "enc", ""))
	encryption["use"] = "enc"
	i := newIssuer(t, one, secretKey, encryption, map[string]any{"kty": "unheard-of", "kid": "odd"})
	s := verifying(t, JWT{JWKSURL: i.url})
	set := s.(*tokens).keys.(*keySet)
	at := &clock{at: time.Now()}
	set.now = at.now
	who := func(name, token string, status int, asked int64) {
		t.Helper()
		if got, err := s.Who(from("Authorization", "Bearer "+token)); statusOf(err) != status {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		if n := i.asked.Load(); n != asked {
			t.Errorf("%s: the issuer was asked %d times, want %d", name, n, asked)
		}
	}
	ones := sign(t, jwt.SigningMethodRS256, rsaKey(), claims(nil), "kid", "one")
	twos := sign(t, jwt.SigningMethodES256, ecKey(), claims(nil), "kid", "two")
	who("First", ones, 0, 1)
	who("Again", ones, 0, 1)
	who("NoKeyID", sign(t, jwt.SigningMethodRS256, rsaKey(), claims(nil)), 0, 1)
	who("OtherAlgorithmThanTheKeys", sign(t, jwt.SigningMethodRS512, rsaKey(), claims(nil), "kid", "one"), 401, 1)
	who("SecretOfTheSet", sign(t, jwt.SigningMethodHS256, []byte(shared), claims(nil), "kid", "secret"), 401, 1)
	who("KeyOfAnotherName", sign(t, jwt.SigningMethodRS256, otherRSA(), claims(nil), "kid", "one"), 401, 1)
	who("KeyIDIsANumber", sign(t, jwt.SigningMethodRS256, rsaKey(), claims(nil), "kid", 1), 401, 1)
	who("KeyIDIsLong", sign(t, jwt.SigningMethodRS256, rsaKey(), claims(nil), "kid", strings.Repeat("x", 300)), 401, 1)
	evil := newIssuer(t, jwkOf(t, otherRSA().Public(), "evil", ""))
	for n, kid := range []string{"evil", "../../evil", "one' OR '1'='1", "/dev/null", "", "\x00"} {
		who("Injected "+kid, sign(t, jwt.SigningMethodRS256, otherRSA(), claims(nil), "kid", kid, "jku", evil.url, "x5u", evil.url), 401, 1)
		_ = n
	}
	if evil.asked.Load() > 0 {
		t.Error("an address that the token brought was asked")
	}
	who("EncryptionKey", sign(t, jwt.SigningMethodRS256, otherRSA(), claims(nil), "kid", "enc"), 401, 1)

	// Rotation: an unknown name makes the keys be fetched, and not more often than is good for the issuer.
	i.publish(one, two)
	who("TooSoon", twos, 401, 1)
	at.add(fetchEvery)
	who("New", twos, 0, 2)
	who("OldStill", ones, 0, 2)
	unknown := sign(t, jwt.SigningMethodRS256, otherRSA(), claims(nil), "kid", "three")
	for range 20 {
		who("Unknown", unknown, 401, 2)
	}
	at.add(fetchEvery)
	who("UnknownLater", unknown, 401, 3)

	// A key that is taken back is good for freshFor at most.
	i.publish(two)
	who("TakenBack", ones, 0, 3)
	at.add(freshFor)
	who("TakenBackForLong", ones, 401, 4)

	// The issuer is away: what is known goes on, what is not cannot be told.
	i.failWith(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	at.add(freshFor)
	who("Away", twos, 0, 5)
	who("AwayAgain", twos, 0, 5)
	who("AwayUnknown", ones, 503, 5)
	at.add(staleFor)
	who("AwayForADay", twos, 503, 6)
	i.publish(two)
	at.add(fetchEvery)
	who("Back", twos, 0, 7)
}

// TestKeySetThatIsNone is away, however it answers, and answers nobody else's question.
func TestKeySetThatIsNone(t *testing.T) {
	t.Parallel()
	token := sign(t, jwt.SigningMethodRS256, rsaKey(), claims(nil), "kid", "one")
	good := newIssuer(t, jwkOf(t, rsaKey().Public(), "one", ""))
	write := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
	}
	for name, h := range map[string]http.HandlerFunc{
		"Empty":    write(`{"keys":[]}`),
		"HTML":     write(`<html>`),
		"Null":     write(`null`),
		"OddKeys":  write(`{"keys":[1,null,"x",{},{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}]}`),
		"TooLarge": write(`{"keys":[` + strings.Repeat(" ", maxKeySet) + `]}`),
		"Redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, good.url, http.StatusFound) },
		"Missing":  http.NotFound,
		"Reset":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		i := newIssuer(t)
		i.failWith(func(w http.ResponseWriter, r *http.Request) { h(w, r) })
		s := verifying(t, JWT{JWKSURL: i.url})
		_, err := s.Who(from("Authorization", "Bearer "+token))
		if statusOf(err) != 503 || !strings.Contains(err.Error(), i.url) {
			t.Errorf("%s: got %v", name, err)
		}
		// Not asked again for each who calls.
		_, _ = s.Who(from("Authorization", "Bearer "+token))
		if n := i.asked.Load(); n != 1 {
			t.Errorf("%s: asked %d times", name, n)
		}
	}
	if good.asked.Load() > 0 {
		t.Error("a redirect was followed")
	}
}

// TestKeysAreFetchedOnce for all who wait for them, while those who need not wait do not.
func TestKeysAreFetchedOnce(t *testing.T) {
	t.Parallel()
	one := jwkOf(t, rsaKey().Public(), "one", "")
	i := newIssuer(t, one)
	inside, release := make(chan struct{}, 8), make(chan struct{}, 8)
	defer close(release)
	i.failWith(func(w http.ResponseWriter, _ *http.Request) {
		inside <- struct{}{}
		<-release
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{one}})
	})
	s := verifying(t, JWT{JWKSURL: i.url})
	token := sign(t, jwt.SigningMethodRS256, rsaKey(), claims(nil), "kid", "one")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.Who(from("Authorization", "Bearer "+token)); err != nil {
				t.Error(err)
			}
		})
	}
	arrive(t, inside)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Who(from("Authorization", "Bearer "+token).WithContext(ctx)); err == nil {
		t.Error("whoever is gone waits")
	}
	release <- struct{}{}
	wg.Wait()
	if n := i.asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
	// Old keys: one fetches, the others go on.
	set := s.(*tokens).keys.(*keySet)
	later := time.Now().Add(freshFor + time.Second)
	set.now = func() time.Time { return later }
	wg.Go(func() { _, _ = s.Who(from("Authorization", "Bearer "+token)) })
	arrive(t, inside)
	if _, err := s.Who(from("Authorization", "Bearer "+token)); err != nil {
		t.Error(err)
	}
	release <- struct{}{}
	wg.Wait()
}

// FuzzToken: whatever stands in the header, nobody gets in without the key.
func FuzzToken(f *testing.F) {
	s, err := New(Config{JWT: &JWT{Key: secret.String(shared), Account: source("org.id")}}, Options{})
	if err != nil {
		f.Fatal(err)
	}
	// Signed by another's key.
	other := sign(f, jwt.SigningMethodHS256, []byte(shared+"x"), claims(nil))
	for _, seed := range []string{"", "Bearer", "Bearer x", "bearer  a.b.c", "Bearer " + other, "Bearer " + other + " x", "Basic a:b", "Bearer eyJhbGciOiJub25lIn0.e30."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := from()
		r.Header["Authorization"] = []string{header}
		id, err := s.Who(r)
		if status := statusOf(err); status != 401 || id != (Identity{}) {
			t.Errorf("%q: %+v, %v", header, id, err)
		}
		if utf8 := fmt.Sprint(err); len(header) > 40 && strings.Contains(utf8, header[20:]) {
			t.Errorf("the token is shown: %v", err)
		}
	})
}
