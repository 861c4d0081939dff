package sender

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/rowhook/rowhook/internal/secret"
)

// Egress says how connections leave for targets and their token endpoints. The zero value connects to them itself, trusts
// what the system trusts, and has no certificate to show. Two are the same when == says so.
type Egress struct {
	// Proxy is the URL of a proxy that takes CONNECT, http or https, with its user and password; empty for none. Names are
	// resolved and checked here, and it is asked for the address.
	Proxy secret.String
	// CA are certificates, in PEM, of authorities that are trusted beside those of the system.
	CA string
	// Certificate and Key, in PEM, are shown to whoever asks a client for its certificate.
	Certificate string
	Key         secret.String
}

// ParseProxy reads the URL of a proxy. The error does not show it.
func ParseProxy(text secret.String) (*url.URL, error) {
	u, err := url.Parse(text.Reveal())
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("is neither http nor https")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("goes on behind the port")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("has a port that is none")
		}
	}
	return u, nil
}

// ParseAuthorities reads certificates in PEM, and adds them to those that the system trusts.
func ParseAuthorities(pem string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a machine without any
	}
	if !pool.AppendCertsFromPEM([]byte(pem)) {
		return nil, errors.New("holds no certificate in PEM")
	}
	return pool, nil
}

// ParseCertificate reads a certificate, with those that lead to its authority, and its key. The error shows neither.
func ParseCertificate(certificate string, key secret.String) (tls.Certificate, error) {
	return tls.X509KeyPair([]byte(certificate), []byte(key.Reveal()))
}

// connectTime bounds a connection: the name, every address that is tried, and what a proxy takes for it.
const connectTime = 10 * time.Second

// reach makes the connections of a client: all of them, to targets and to token endpoints.
type reach struct {
	guard  Guard
	dialer net.Dialer
	// proxy is nil where connections are made directly.
	proxy *egressProxy
	// broken fails every connection: nothing leaves in another way than it is meant to.
	broken error
}

func newReach(g Guard) *reach {
	return &reach{guard: g, dialer: net.Dialer{Timeout: connectTime, KeepAlive: 30 * time.Second, Control: g.control}}
}

// dial connects to a host and port.
func (r *reach) dial(ctx context.Context, network, address string) (net.Conn, error) {
	switch {
	case r.broken != nil:
		return nil, r.broken
	case r.proxy != nil:
		return r.proxy.dial(ctx, r, address)
	}
	return r.dialer.DialContext(ctx, network, address)
}

// through lets the client's connections leave in a way. It is called before the client is used.
func (c *client) through(e Egress) *client {
	c.egress = e
	if err := c.leave(e); err != nil {
		c.reach.broken = err
	}
	return c
}

func (c *client) leave(e Egress) error {
	for _, config := range []*tls.Config{c.small.TLS, c.transport.TLSClientConfig} {
		if e.CA != "" {
			pool, err := ParseAuthorities(e.CA)
			if err != nil {
				return fmt.Errorf("the certificates to be trusted: %w", err)
			}
			config.RootCAs = pool
		}
		if e.Certificate != "" {
			own, err := ParseCertificate(e.Certificate, e.Key)
			if err != nil {
				return fmt.Errorf("the client's certificate: %w", err)
			}
			config.Certificates = []tls.Certificate{own}
		}
	}
	if e.Proxy == "" {
		return nil
	}
	u, err := ParseProxy(e.Proxy)
	if err != nil {
		return fmt.Errorf("the egress proxy's URL %w", err)
	}
	c.reach.proxy = newEgressProxy(u, c.small.TLS.RootCAs)
	// Whether something has come on a connection within TLS to the proxy cannot be seen from outside: such ones are not kept by
	// the client of small requests.
	c.onlyLarge = u.Scheme == "https"
	return nil
}

// egressProxy is the operator's own proxy: which address it has is not asked.
type egressProxy struct {
	address string
	// tls is nil for a proxy that is spoken to in the clear.
	tls           *tls.Config
	authorization string
	dialer        net.Dialer
}

func newEgressProxy(u *url.URL, roots *x509.CertPool) *egressProxy {
	p := &egressProxy{dialer: net.Dialer{KeepAlive: 30 * time.Second}}
	port := u.Port()
	if u.Scheme == "https" {
		p.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname(), RootCAs: roots, NextProtos: []string{"http/1.1"}}
		if port == "" {
			port = "443"
		}
	} else if port == "" {
		port = "80"
	}
	p.address = net.JoinHostPort(u.Hostname(), port)
	if u.User != nil {
		password, _ := u.User.Password()
		p.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	}
	return p
}

// errProxy is wrapped by what the proxy itself did not do; errProxyDown, which is one, by what it does for no target.
var (
	errProxy     = errors.New("the egress proxy")
	errProxyDown = fmt.Errorf("%w cannot be used", errProxy)
	// errUnreached is that the proxy could not connect: it says that of the target.
	errUnreached = errors.New("the egress proxy could not connect")
)

// proxyTries is how many addresses of a name a proxy is asked for.
const proxyTries = 4

// dial asks the proxy for each address that may be sent to, until it connects to one.
func (p *egressProxy) dial(ctx context.Context, r *reach, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	all, err := r.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var first error
	for _, addr := range all[:min(len(all), proxyTries)] {
		conn, err := p.connect(ctx, net.JoinHostPort(addr.String(), port))
		if err == nil || !errors.Is(err, errUnreached) {
			return conn, err
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// resolve returns the addresses of a host that may be sent to, one of each family first: the proxy may have only one.
func (r *reach) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	resolver := r.dialer.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	all, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var refused error
	var good []netip.Addr
	for _, addr := range all {
		addr = addr.Unmap()
		if err := r.guard.Check(addr); err != nil {
			if refused == nil {
				refused = err
			}
			continue
		}
		good = append(good, addr)
	}
	if len(good) == 0 {
		return nil, refused
	}
	for i := 1; i < len(good); i++ {
		if good[i].Is4() != good[0].Is4() {
			good[1], good[i] = good[i], good[1]
			break
		}
	}
	return good, nil
}

// connectAnswer bounds the proxy's answer, in bytes.
const connectAnswer = 16 << 10

// connect has the proxy connect to an address.
func (p *egressProxy) connect(ctx context.Context, address string) (net.Conn, error) {
	conn, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	watch := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = p.tunnel(conn, address)
	if !watch() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err() // it waits for the target
		}
		return nil, err
	}
	return conn, nil
}

// open connects to the proxy. Errors do not say where it is: the target's owner may get to see them.
func (p *egressProxy) open(ctx context.Context) (net.Conn, error) {
	conn, err := p.dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, down(ctx, err)
	}
	if p.tls == nil {
		return conn, nil
	}
	secure := tls.Client(conn, p.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, down(ctx, err)
	}
	return secure, nil
}

func down(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err() // by us
	}
	return fmt.Errorf("%w: %s", errProxyDown, judgeError(err))
}

// tunnel asks for a connection, which the conn is afterwards.
func (p *egressProxy) tunnel(conn net.Conn, address string) error {
	request := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if p.authorization != "" {
		request += "Proxy-Authorization: " + p.authorization + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return fmt.Errorf("%w broke off: %s", errProxy, judgeError(err))
	}
	r := bufio.NewReader(io.LimitReader(conn, connectAnswer))
	answer, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return fmt.Errorf("%w did not answer: %s", errProxy, judgeError(err))
	}
	switch s := answer.StatusCode; {
	case s >= 200 && s <= 299 && r.Buffered() > 0:
		return fmt.Errorf("%w sent more than its answer", errProxy) // targets wait to be spoken to
	case s >= 200 && s <= 299:
		return nil
	case s == http.StatusProxyAuthRequired:
		return fmt.Errorf("%w: it answered 407", errProxyDown)
	case s == http.StatusGatewayTimeout:
		return timedOut{fmt.Errorf("%w: it answered 504", errUnreached)}
	case s >= 500:
		return fmt.Errorf("%w: it answered %d", errUnreached, s)
	default:
		return fmt.Errorf("%w answered %d", errProxy, s)
	}
}

// timedOut is an error that is a timeout.
type timedOut struct{ error }

func (timedOut) Timeout() bool   { return true }
func (timedOut) Temporary() bool { return true }
func (e timedOut) Unwrap() error { return e.error }
