package sender

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// rude is a receiver that does not behave.
type rude struct {
	// serve has the connection, of TLS where that is spoken; it is closed afterwards.
	serve func(c *rudeConn)
	// tls, where there is one, is what it speaks TLS with.
	tls *tls.Config
	// port changes the URL of the receiver: to another scheme, mostly.
	url func(string) string
	// body is how large the body is that it is sent; 0 is a small one.
	body int
	// reasons are those that its attempts may end with; "" is delivered.
	reasons []string
	// status is the answer's, where there is one.
	status int
	// http2 is for net/http alone.
	http2 bool
	// floods says that it sends as much as it can.
	floods bool
}

// rudeConn is a connection to a rude receiver.
type rudeConn struct {
	net.Conn
	*bufio.Reader
	tcp *net.TCPConn
	// ended is closed when the receiver is.
	ended <-chan struct{}
}

func (c *rudeConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// request reads one, and is false where there is none.
func (c *rudeConn) request() bool {
	req, err := http.ReadRequest(c.Reader)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

func (c *rudeConn) send(text string) bool {
	_, err := io.WriteString(c.Conn, text)
	return err == nil
}

// flood sends a text again and again, until the client has gone or has taken most bytes of it: an idle connection may be kept.
func (c *rudeConn) flood(text string, most int) {
	text = strings.Repeat(text, 1+8192/len(text))
	for ; most > 0 && c.send(text); most -= len(text) {
	}
}

// drip sends a text byte by byte.
func (c *rudeConn) drip(text string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range len(text) {
		select {
		case <-tick.C:
		case <-c.ended:
			return
		}
		if !c.send(text[i : i+1]) {
			return
		}
	}
}

// wait keeps the connection until the client has gone, reading what comes.
func (c *rudeConn) wait() { _, _ = io.Copy(io.Discard, c.Reader) }

// hang keeps the connection and reads nothing.
func (c *rudeConn) hang() { <-c.ended }

// reset breaks the connection.
func (c *rudeConn) reset() {
	_ = c.tcp.SetLinger(0)
	_ = c.tcp.Close()
}

// frame sends one of HTTP/2.
func (c *rudeConn) frame(kind, flags byte, stream uint32, payload []byte) bool {
	_, err := c.Write(frame(kind, flags, payload, stream)(1))
	return err == nil
}

// frame is one of HTTP/2, for so many times the stream: 0 is the connection's.
func frame(kind, flags byte, payload []byte, times uint32) func(stream uint32) []byte {
	return func(stream uint32) []byte {
		n := len(payload)
		return append(binary.BigEndian.AppendUint32([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}, stream*times), payload...)
	}
}

// The frames of HTTP/2, and what ends something.
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing, frameGoAway, frameContinuation = 0, 1, 3, 4, 6, 7, 9
	endStream, endHeaders                                                                         = 1, 4
)

// streams exchanges settings, and serves each stream when its headers are there, for as long as that returns true. What else comes
// is thrown away.
func (c *rudeConn) streams(settings []byte, serve func(stream uint32) bool) {
	preface := make([]byte, 24)
	if _, err := io.ReadFull(c.Reader, preface); err != nil || !c.frame(frameSettings, 0, 0, settings) {
		return
	}
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(c.Reader, head); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, c.Reader, int64(head[0])<<16|int64(head[1])<<8|int64(head[2])); err != nil {
			return
		}
		if head[3] == frameHeaders && !serve(binary.BigEndian.Uint32(head[5:])) {
			return
		}
	}
}

// status200 and status103 are headers, as HPACK has them.
var (
	status200 = []byte{0x88}
	status103 = []byte{0x08, 3, '1', '0', '3'}
)

// listening starts the receiver.
func (b *rude) listening(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				c := &rudeConn{Conn: conn, tcp: conn.(*net.TCPConn), ended: ctx.Done()}
				if b.tls != nil {
					secure := tls.Server(conn, b.tls)
					if secure.HandshakeContext(ctx) != nil {
						return
					}
					c.Conn = secure
				}
				c.Reader = bufio.NewReader(c.Conn)
				b.serve(c)
			})
		}
	})
	t.Cleanup(func() { stop(); _ = l.Close(); all.Wait() })
	url := "http://" + l.Addr().String() + "/hook"
	if b.tls != nil {
		url = "https" + url[len("http"):]
	}
	if b.url != nil {
		url = b.url(url)
	}
	return url
}

func answers(text string) func(*rudeConn) {
	return func(c *rudeConn) {
		for c.request() && c.send(text) {
		}
	}
}

// answersOnce answers, and closes the connection.
func answersOnce(text string) func(*rudeConn) {
	return func(c *rudeConn) {
		if c.request() {
			c.send(text)
		}
	}
}

// RudeTargets starts a receiver of each kind, and returns their URLs and the authority, in PEM, that those with TLS have.
func RudeTargets(t testing.TB) (urls []string, ca string) {
	t.Helper()
	authority := newAuthority(t)
	for _, b := range rudeness(t, authority) {
		urls = append(urls, b.listening(t))
	}
	return urls, authority.pem
}

// rudeness are the ways of not behaving. All that is in TLS has a certificate of the authority.
func rudeness(t testing.TB, authority authority) map[string]*rude {
	const (
		ok   = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		head = "HTTP/1.1 200 OK\r\n"
		escs = "\x1b]0;owned\x07\x1b[2J\x1b[31m\x00\u202e\x9b31m\xff"
	)
	var (
		delivered, timeout = []string{""}, []string{ReasonTimeout}
		reset, invalid     = []string{ReasonConnectionReset}, []string{ReasonInvalidResponse}
		status, broken     = []string{ReasonHTTPStatus}, []string{ReasonTLS}
		// A reset may come before or after the answer that was on its way.
		either = []string{ReasonHTTPStatus, ReasonConnectionReset}
		// Half a line is no line, or the end of the connection.
		cut = []string{ReasonInvalidResponse, ReasonConnectionReset}
	)
	self := func(change func(*x509.Certificate)) *tls.Config {
		c := &x509.Certificate{Subject: pkix.Name{CommonName: "rude\x1b[31m"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
		change(c)
		_, _, cert := issue(t, c, &authority)
		return &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	good := self(func(*x509.Certificate) {})
	only := func(version uint16) *tls.Config {
		c := good.Clone()
		c.MinVersion, c.MaxVersion = version, version
		return c
	}
	two := good.Clone()
	two.NextProtos = []string{"h2"}
	all := map[string]*rude{
		"ReadsNothing":            {serve: (*rudeConn).hang, reasons: timeout},
		"ReadsNothingOfMuch":      {serve: (*rudeConn).hang, body: 1 << 20, reasons: timeout},
		"ReadsAndSaysNothing":     {serve: (*rudeConn).wait, reasons: timeout},
		"ReadsMuchAndSaysNothing": {serve: (*rudeConn).wait, body: 1 << 20, reasons: timeout},
		"DripsHeaders":            {serve: func(c *rudeConn) { c.request(); c.drip(head + "X: " + strings.Repeat("x", 1<<20)) }, reasons: timeout},
		"DripsStatus":             {serve: func(c *rudeConn) { c.request(); c.drip(strings.Repeat("HTTP/1.1 ", 1<<16)) }, reasons: timeout},
		"DripsBody":               {serve: func(c *rudeConn) { c.request(); c.send(head + "\r\n"); c.drip(strings.Repeat("x", 1<<20)) }, status: 200, reasons: delivered},
		"DripsChunks": {serve: func(c *rudeConn) {
			c.request()
			c.send("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n")
			c.drip(strings.Repeat("1\r\nx\r\n", 1<<20))
		}, status: 500, reasons: status},
		"HangsInBody":         {serve: func(c *rudeConn) { c.request(); c.send(head + "Content-Length: 9\r\n\r\nok"); c.wait() }, status: 200, reasons: delivered},
		"HangsInBodyOfError":  {serve: func(c *rudeConn) { c.request(); c.send("HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\nno"); c.wait() }, status: 503, reasons: status},
		"EndlessHeaders":      {serve: func(c *rudeConn) { c.request(); c.send(head); c.flood("X-Header: value\r\n", 8<<20) }, floods: true, reasons: invalid},
		"EndlessHeaderLine":   {serve: func(c *rudeConn) { c.request(); c.send(head + "X: "); c.flood(strings.Repeat("x", 4096), 8<<20) }, floods: true, reasons: invalid},
		"EndlessHeaderName":   {serve: func(c *rudeConn) { c.request(); c.send(head); c.flood(strings.Repeat("x", 4096), 8<<20) }, floods: true, reasons: invalid},
		"EndlessStatusLine":   {serve: func(c *rudeConn) { c.request(); c.send("HTTP/1.1 200 "); c.flood(strings.Repeat("x", 4096), 8<<20) }, floods: true, reasons: invalid},
		"EndlessContinuation": {serve: func(c *rudeConn) { c.request(); c.send(head + "X: y\r\n"); c.flood(" folded\r\n", 8<<20) }, floods: true, reasons: invalid},
		"EndlessBlankLines":   {serve: func(c *rudeConn) { c.request(); c.flood("\r\n", 8<<20) }, floods: true, reasons: invalid},
		"EndlessBody":         {serve: func(c *rudeConn) { c.request(); c.send(head + "\r\n"); c.flood(strings.Repeat("x", 4096), 8<<20) }, floods: true, status: 200, reasons: delivered},
		"EndlessBodyOfError": {serve: func(c *rudeConn) {
			c.request()
			c.send("HTTP/1.1 400 No\r\n\r\n")
			c.flood(strings.Repeat("x", 4096), 8<<20)
		}, floods: true, status: 400, reasons: status},
		"EndlessChunk": {serve: func(c *rudeConn) {
			c.request()
			c.send(head + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\n")
			c.flood(strings.Repeat("x", 4096), 8<<20)
		}, floods: true, status: 200, reasons: delivered},
		"EndlessChunkExtension": {serve: func(c *rudeConn) {
			c.request()
			c.send(head + "Transfer-Encoding: chunked\r\n\r\n1;")
			c.flood(strings.Repeat("x", 4096), 8<<20)
		}, floods: true, status: 200, reasons: delivered},
		"EndlessTrailers": {serve: func(c *rudeConn) {
			c.request()
			c.send("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
			c.flood("X-Trailer: value\r\n", 8<<20)
		}, floods: true, status: 500, reasons: status},
		"InterimFlood":  {serve: func(c *rudeConn) { c.request(); c.flood("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 8<<20) }, floods: true, reasons: invalid},
		"ContinueFlood": {serve: func(c *rudeConn) { c.request(); c.flood("HTTP/1.1 100 Continue\r\n\r\n", 8<<20) }, floods: true, reasons: invalid},
		"CookieFlood": {serve: answersOnce(head + strings.Repeat("Set-Cookie: a="+strings.Repeat("x", 1000)+"\r\n", 1000) + "\r\n"), floods: true,
			reasons: invalid},
		"ManyCookies":       {serve: answers(head + strings.Repeat("Set-Cookie: a=b; Domain=localhost\r\n", 100) + "Content-Length: 0\r\n\r\n"), status: 200, reasons: delivered},
		"HugeLength":        {serve: answersOnce(head + "Content-Length: 9223372036854775807\r\n\r\nx"), status: 200, reasons: delivered},
		"HugeLengthOfError": {serve: answersOnce("HTTP/1.1 500 No\r\nContent-Length: 9223372036854775807\r\n\r\nx"), status: 500, reasons: status},
		"LengthTooLarge":    {serve: answersOnce(head + "Content-Length: 100\r\n\r\nok"), status: 200, reasons: delivered},
		"LengthTooSmall":    {serve: answers(head + "Content-Length: 2\r\n\r\nok, and more"), status: 200, reasons: delivered},
		"LengthOverflows":   {serve: answersOnce(head + "Content-Length: 18446744073709551616\r\n\r\n"), reasons: invalid},
		"LengthsDiffer":     {serve: answersOnce(head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"), reasons: invalid},
		"LengthAndChunks":   {serve: answers(head + "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), status: 200, reasons: delivered},
		"ChunkedTwice":      {serve: answersOnce(head + "Transfer-Encoding: chunked, chunked\r\n\r\n"), reasons: invalid},
		"ChunksOfGarbage":   {serve: answersOnce(head + "Transfer-Encoding: chunked\r\n\r\nzz\r\nok"), status: 200, reasons: delivered},
		"Bomb":              {serve: answersOnce(bomb()), floods: true, status: 200, reasons: delivered},
		"BombOfError":       {serve: answersOnce(strings.Replace(bomb(), "200 OK", "500 No", 1)), status: 500, reasons: status},
		"ResetAtOnce":       {serve: (*rudeConn).reset, reasons: reset},
		"ResetInRequest": {serve: func(c *rudeConn) {
			_, _ = io.CopyN(io.Discard, c.Reader, 64<<10)
			c.reset()
		}, body: 1 << 20, reasons: reset},
		"ResetAfterRequest": {serve: func(c *rudeConn) { c.request(); c.reset() }, reasons: reset},
		"ResetInHeaders":    {serve: func(c *rudeConn) { c.request(); c.send(head + "X-Head"); c.reset() }, reasons: cut},
		"CloseAtOnce":       {serve: func(*rudeConn) {}, reasons: reset},
		"CloseInHeaders":    {serve: answersOnce(head + "Content-Le"), reasons: cut},
		"CloseInStatusLine": {serve: answersOnce("HTTP/1."), reasons: cut},
		"AnswersBeforeBody": {serve: func(c *rudeConn) {
			_, _ = c.ReadByte()
			c.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			c.wait()
		}, body: 1 << 20, status: 413, reasons: either},
		"AnswersAndResets": {serve: func(c *rudeConn) {
			_, _ = c.ReadByte()
			c.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
			c.reset()
		}, body: 1 << 20, status: 413, reasons: either},
		"AnswersUnasked": {serve: func(c *rudeConn) {
			c.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			c.wait()
		}, status: 413, reasons: append(either, ReasonInvalidResponse)},
		"NoHeaders":          {serve: answersOnce("<html>it works</html>\n"), reasons: invalid},
		"OldHTTP":            {serve: answersOnce("HTTP/0.9 200 OK\r\n\r\nok"), status: 200, reasons: []string{"", ReasonInvalidResponse}},
		"OtherProtocol":      {serve: func(c *rudeConn) { c.send("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"); c.wait() }, reasons: invalid},
		"BinaryGarbage":      {serve: func(c *rudeConn) { c.request(); c.send("\x00\x01\xfe\xff\r\n\r\n") }, reasons: invalid},
		"StatusOutOfRange":   {serve: answersOnce("HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n"), status: 99, reasons: []string{ReasonHTTPStatus, ReasonInvalidResponse}},
		"StatusOfFourDigits": {serve: answersOnce("HTTP/1.1 2000 What\r\n\r\n"), reasons: invalid},
		"StatusInWords":      {serve: answersOnce("HTTP/1.1 OK fine\r\n\r\n"), reasons: invalid},
		"Switching":          {serve: answersOnce("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), status: 101, reasons: status},
		"Escapes":            {serve: answersOnce("HTTP/1.1 " + escs + "\r\n" + escs + "\r\n\r\n"), reasons: invalid},
		"EscapesInHeaders":   {serve: answersOnce(head + "X-" + escs + ": " + escs + "\r\n\r\n"), reasons: invalid},
		"EscapesInStatus":    {serve: answersOnce("HTTP/1.1 500 " + strings.ReplaceAll(escs, "\x00", "") + "\r\nContent-Length: 0\r\n\r\n"), status: 500, reasons: status},
		"EscapesInBody":      {serve: answersOnce("HTTP/1.1 500 No\r\nContent-Length: " + fmt.Sprint(len(escs)) + "\r\n\r\n" + escs), status: 500, reasons: status},
		// The words of other errors must not make its own another one.
		"WordsOfTLS":      {serve: answersOnce("HTTP/1.1 tls: handshake\r\n\r\n"), reasons: invalid},
		"WordsOfABreak":   {serve: answersOnce(head + "Transfer-Encoding: GOAWAY stream error: \r\n\r\n"), reasons: invalid},
		"OurHeaders":      {serve: answers("HTTP/1.1 200 OK\r\nWebhook-Id: evt_2\r\nWebhook-Signature: v1,x\r\nX-Hook-Secret: x\r\nContent-Length: 0\r\n\r\n"), status: 200, reasons: delivered},
		"SecondAnswer":    {serve: answers(ok + "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"), status: 200, reasons: delivered},
		"RedirectLoop":    {serve: answers("HTTP/1.1 307 Again\r\nLocation: /hook\r\nContent-Length: 0\r\n\r\n"), status: 307, reasons: status},
		"RedirectInside":  {serve: answers("HTTP/1.1 308 There\r\nLocation: http://169.254.169.254/latest/meta-data/\r\nContent-Length: 0\r\n\r\n"), status: 308, reasons: status},
		"RedirectToFile":  {serve: answers("HTTP/1.1 302 There\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"), status: 302, reasons: status},
		"AsksForMuchTime": {serve: answers("HTTP/1.1 503 Later\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n"), status: 503, reasons: status},
		"Expired":         {tls: self(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(1, 0), time.Unix(2, 0) }), serve: answers(ok), reasons: broken},
		"WrongHost":       {tls: self(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"other.example"}, nil }), serve: answers(ok), reasons: broken},
		"TLSHangs":        {serve: (*rudeConn).wait, url: https, reasons: timeout},
		"TLSDrips":        {serve: func(c *rudeConn) { c.drip("\x16\x03\x03\x40\x00" + strings.Repeat("\x02", 1<<14)) }, url: https, reasons: []string{ReasonTimeout, ReasonTLS}},
		"TLSAlert":        {serve: func(c *rudeConn) { _, _ = c.ReadByte(); c.send("\x15\x03\x03\x00\x02\x02\x28"); c.wait() }, url: https, reasons: broken},
		"TLSGarbage":      {serve: func(c *rudeConn) { _, _ = c.ReadByte(); c.flood("\x00\x00\x00\x00", 8<<20) }, url: https, floods: true, reasons: broken},
		"TLSCloses":       {serve: func(c *rudeConn) { _, _ = c.ReadByte() }, url: https, reasons: reset},
		"OldTLS":          {tls: only(tls.VersionTLS10), serve: answers(ok), reasons: broken},
		"OldTLS11":        {tls: only(tls.VersionTLS11), serve: answers(ok), reasons: broken},
		"PlainAtTLSPort": {serve: func(c *rudeConn) {
			_, _ = c.ReadByte()
			c.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			c.wait()
		}, url: https, reasons: broken},
		"TLSOnPlainPort":    {serve: func(c *rudeConn) { c.request(); c.send("\x15\x03\x01\x00\x02\x02\x16"); c.wait() }, reasons: append(invalid, ReasonTimeout)},
		"TLSHangsInAnswer":  {tls: good, serve: func(c *rudeConn) { c.request(); c.send(head); c.wait() }, reasons: timeout},
		"TLSResets":         {tls: good, serve: func(c *rudeConn) { c.request(); c.reset() }, reasons: reset},
		"TLSEndlessBody":    {tls: good, serve: func(c *rudeConn) { c.request(); c.send(head + "\r\n"); c.flood(strings.Repeat("x", 4096), 8<<20) }, floods: true, status: 200, reasons: delivered},
		"TLSSecondAnswer":   {tls: good, serve: answers(ok + "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"), status: 200, reasons: delivered},
		"HTTP2Silent":       {tls: two, http2: true, serve: (*rudeConn).wait, reasons: timeout},
		"HTTP2ReadsNothing": {tls: two, http2: true, serve: (*rudeConn).hang, body: 1 << 20, reasons: timeout},
		"HTTP2Garbage":      {tls: two, http2: true, serve: func(c *rudeConn) { c.send(strings.Repeat("garbage!", 1<<10)); c.wait() }, reasons: []string{ReasonInvalidResponse, ReasonConnectionReset}},
		"HTTP2SpeaksOne":    {tls: two, http2: true, serve: func(c *rudeConn) { c.send(ok); c.wait() }, reasons: []string{ReasonInvalidResponse, ReasonConnectionReset}},
	}
	// Of HTTP/2, what each stream gets: once, or again and again.
	for name, frames := range map[string]struct {
		once, flood func(stream uint32) []byte
		reasons     []string
		status      int
	}{
		"GoAway":      {once: frame(frameGoAway, 0, make([]byte, 8), 0), reasons: append(reset, ReasonTimeout)},
		"GoAwayFlood": {flood: frame(frameGoAway, 0, make([]byte, 8), 0), reasons: append(reset, ReasonTimeout)},
		"Refuses":     {once: frame(frameReset, 0, []byte{0, 0, 0, 7}, 1), reasons: append(reset, ReasonTimeout)},
		"Resets":      {once: frame(frameReset, 0, []byte{0, 0, 0, 2}, 1), reasons: reset},
		"ResetFlood":  {flood: frame(frameReset, 0, []byte{0, 0, 0, 8}, 1), reasons: append(reset, ReasonTimeout)},
		"Headers":     {once: frame(frameHeaders, 0, status200, 1), flood: frame(frameContinuation, 0, []byte("\x40\x01a\x04b234"), 1), reasons: append(invalid, reset...)},
		"HugeHeaders": {once: frame(frameHeaders, 0, status200, 1), flood: frame(frameContinuation, 0, header(8000), 1), reasons: append(invalid, reset...)},
		"EmptyFrames": {once: frame(frameHeaders, 0, status200, 1), flood: frame(frameContinuation, 0, nil, 1), reasons: append(invalid, ReasonConnectionReset, ReasonTimeout)},
		"Interim":     {flood: frame(frameHeaders, endHeaders, status103, 1), reasons: append(invalid, ReasonConnectionReset, ReasonTimeout)},
		"Pings":       {flood: frame(framePing, 0, []byte("pingping"), 0), reasons: append(reset, ReasonTimeout)},
		"Settings":    {flood: frame(frameSettings, 0, nil, 0), reasons: append(reset, ReasonTimeout)},
		"EndlessData": {once: frame(frameHeaders, endHeaders, status200, 1), flood: frame(frameData, 0, make([]byte, 4096), 1), status: 200, reasons: delivered},
		"HangsInBody": {once: frame(frameHeaders, endHeaders, status200, 1), status: 200, reasons: delivered},
		"DataFirst":   {once: frame(frameData, 0, []byte("x"), 1), reasons: append(invalid, reset...)},
		"OtherStream": {once: frame(frameHeaders, endHeaders|endStream, status200, 77), reasons: append(invalid, ReasonConnectionReset, ReasonTimeout)},
	} {
		all["HTTP2"+name] = &rude{tls: two, http2: true, floods: frames.flood != nil, status: frames.status, reasons: frames.reasons, serve: func(c *rudeConn) {
			c.streams(nil, func(stream uint32) bool {
				if frames.once != nil {
					_, _ = c.Write(frames.once(stream))
				}
				if frames.flood == nil {
					return true
				}
				go c.wait()
				c.flood(string(frames.flood(stream)), 1<<20)
				c.hang()
				return false
			})
		}}
	}
	all["HTTP2NoWindow"] = &rude{tls: two, http2: true, reasons: timeout, serve: func(c *rudeConn) {
		c.streams([]byte{0, 4, 0, 0, 0, 0}, func(uint32) bool { return true })
	}}
	return all
}

// header is a header of so many bytes, as HPACK has it: its name is one byte.
func header(size int) []byte {
	value := size - 6
	out := []byte{0x00, 1, 'a', 0x7f, byte((value-127)%128 | 128), byte((value - 127) / 128)}
	return append(out, bytes.Repeat([]byte{'x'}, value)...)
}

func https(url string) string { return "https" + url[len("http"):] }

// bomb is an answer that is small, and 8 MiB when it is unpacked.
var bomb = sync.OnceValue(func() string {
	a := hooktest.Bomb(8 << 20)
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(a.Body), a.Body)
})
