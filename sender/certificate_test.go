package sender

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// clientCertificate is what an authority gave us, in PEM.
func (a *authority) clientCertificate(t *testing.T) (certificate string, key secret.String) {
	t.Helper()
	cert, private, _ := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "rowhook"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, a)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})),
		secret.String(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// TestClientCertificates sends to servers that ask for one.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	certificate, key := ours.clientCertificate(t)
	other, otherKey := theirs.clientCertificate(t)
	for name, c := range map[string]struct {
		egress  Egress
		version uint16
		http2   bool
		// reasons are "" for delivered. That of a certificate which is refused when the handshake is over, as in TLS 1.3, can be
		// that the connection breaks under the request.
		reasons []string
	}{
		"Shown":        {Egress{CA: theirs.pem, Certificate: certificate, Key: key}, tls.VersionTLS12, false, []string{""}},
		"ShownTLS13":   {Egress{CA: theirs.pem, Certificate: certificate, Key: key}, tls.VersionTLS13, false, []string{""}},
		"ShownHTTP2":   {Egress{CA: theirs.pem, Certificate: certificate, Key: key}, tls.VersionTLS13, true, []string{""}},
		"None":         {Egress{CA: theirs.pem}, tls.VersionTLS12, false, []string{ReasonTLS}},
		"NoneTLS13":    {Egress{CA: theirs.pem}, tls.VersionTLS13, false, []string{ReasonTLS, ReasonConnectionReset}},
		"Other":        {Egress{CA: theirs.pem, Certificate: other, Key: otherKey}, tls.VersionTLS12, false, []string{ReasonTLS}},
		"NotTrusted":   {Egress{Certificate: certificate, Key: key}, tls.VersionTLS12, false, []string{ReasonTLS}},
		"OtherTrusted": {Egress{CA: ours.pem, Certificate: certificate, Key: key}, tls.VersionTLS12, false, []string{ReasonTLS}},
	} {
		eachClient(t, name, func(t *testing.T, through func(*target) *target) {
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM([]byte(ours.pem))
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if got := r.TLS.PeerCertificates[0].Subject.CommonName; got != "rowhook" {
					t.Errorf("shown is the certificate of %s", got)
				}
			}))
			srv.TLS = &tls.Config{Certificates: []tls.Certificate{theirs.certificate(t, "hooks.example")}, ClientCAs: pool,
				ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12, MaxVersion: c.version}
			srv.EnableHTTP2 = c.http2
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.StartTLS()
			t.Cleanup(srv.Close)
			cl := newClient(loopback, "rowhook/test", 4).through(c.egress)
			t.Cleanup(cl.close)
			tg, err := newTarget(&subscriptions.Subscription{TargetURL: secret.String(srv.URL), Secrets: signing(specSecret)}, cl, Envelope{})
			if err != nil {
				t.Fatal(err)
			}
			if tg = through(tg); tg.endpoint != nil {
				cl.small.Learn(tg.endpoint)
			}
			out := tg.once(t.Context(), 20*time.Second)
			for _, r := range c.reasons {
				if out.Reason == r && (out.Verdict == Delivered) == (r == "") {
					return
				}
			}
			t.Errorf("got %+v, want %v", out, c.reasons)
		})
	}
}
