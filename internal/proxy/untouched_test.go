package proxy

import (
	"strings"
	"testing"
)

// said are the headers that the proxy adds to a request of a client on this machine for the host app.example.
const said = "Forwarded: for=127.0.0.1;host=app.example;proto=http\r\n" +
	"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: app.example\r\nX-Forwarded-Proto: http\r\n"

// TestRequestsAreUntouched compares what arrives at the application with what a client sent, byte for byte.
func TestRequestsAreUntouched(t *testing.T) {
	t.Parallel()
	const host = "Host: app.example\r\n"
	get := func(target string) string { return "GET " + target + " HTTP/1.1\r\n" + host }
	for _, tt := range []struct {
		name, send, body string
		// want is what arrives instead of send, where the rules name a difference.
		want, wantBody string
	}{
		{name: "plain", send: get("/contacts/42?x=1")},
		{name: "no query after ?", send: get("/contacts?")},
		{name: "two ?", send: get("/a??b?c")},
		{name: "query of odd encodings", send: get("/a?b=%zz&c=%&d;e=1&&=&f=+%20%2B&g=\"<>|{}\x80\xff#h")},
		{name: "query with a semicolon", send: get("/a?b;c")},
		{name: "query of many parameters", send: get("/a?" + strings.Repeat("a=1&", 10001))},
		{name: "encoded slash", send: get("/a%2Fb%2fc")},
		{name: "encoded letters", send: get("/%61%62/%E2%82%ac/%00/%0d%0a")},
		{name: "double slashes", send: get("/a//b///")},
		{name: "double slash first", send: get("//a/%2Fb?c")},
		{name: "dots", send: get("/a/./b/../c/..")},
		{name: "parameters", send: get("/a;b=c/d;e")},
		{name: "letters that URIs have not", send: get("/a\"b<c>|{}^`\\\x80\xe2\x82\xac")},
		{name: "hash", send: get("/a#b?c")},
		{name: "colon first", send: get("/a:b@c$&'()*+,=!~")},
		{name: "long path", send: get("/" + strings.Repeat("a/", 4000))},
		{name: "asterisk", send: "OPTIONS * HTTP/1.1\r\n" + host},
		{name: "absolute form", send: "GET http://app.example/a%2Fb?c=%zz HTTP/1.1\r\nHost: other.example\r\n",
			want: get("/a%2Fb?c=%zz")},
		{name: "double slash first with letters that URIs have not", send: get("//a\"b"), want: get("//a%22b")},

		{name: "methods", send: "PROPFIND /a HTTP/1.1\r\n" + host},
		{name: "host with port", send: "GET / HTTP/1.1\r\nHost: APP.example:8080\r\n"},
		{name: "host of IPv6", send: "GET / HTTP/1.1\r\nHost: [::1]:80\r\n"},
		{name: "no user agent, no accept-encoding", send: get("/")},
		{name: "user agent", send: get("/") + "User-Agent: test/1\r\n"},
		{name: "empty header", send: get("/") + "X-Empty: \r\n"},
		{name: "header twice", send: get("/") + "Cookie: a=1\r\nCookie: b=2; c=\"3\"\r\nX-A: 1\r\nX-A: 2, 3\r\n"},
		{name: "odd headers", send: get("/") + "x_under: 1\r\n!#$%&'*+-.^`|~: 2\r\nX-Bytes: \x80\xff \t inner  spaces\r\nX-Long: " + strings.Repeat("y", 60000) + "\r\n"},
		{name: "login and ranges", send: get("/") + "Authorization: Basic YTpi\r\nIf-None-Match: \"x\"\r\nRange: bytes=1-2\r\nAccept-Encoding: br;q=1.0, gzip\r\nX-Real-Ip: 1.2.3.4\r\nVia: 1.1 x\r\nX-Forwarded-Port: 1\r\n"},
		{name: "headers of the hop", send: get("/") + "Te: deflate\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Stays: 1\r\n",
			want: get("/") + "X-Stays: 1\r\n"},
		{name: "trailers are taken", send: get("/") + "TE: deflate, trailers\r\nConnection: TE\r\n", want: get("/") + "Te: trailers\r\n"},
		{name: "HTTP/1.0", send: "GET /a HTTP/1.0\r\n" + host, want: get("/a")},

		{name: "body", send: "POST /a HTTP/1.1\r\n" + host + "Content-Type: x/y\r\nContent-Length: 5\r\n", body: "a\r\nb\x00"},
		{name: "body of a GET", send: get("/a") + "Content-Length: 3\r\n", body: "abc"},
		{name: "empty body", send: "POST /a HTTP/1.1\r\n" + host + "Content-Length: 0\r\n"},
		{name: "no body of a POST", send: "POST /a HTTP/1.1\r\n" + host, want: "POST /a HTTP/1.1\r\n" + host + "Content-Length: 0\r\n"},
		{name: "empty body of a DELETE", send: "DELETE /a HTTP/1.1\r\n" + host + "Content-Length: 0\r\n", want: "DELETE /a HTTP/1.1\r\n" + host},
		{name: "compressed body", send: "PUT /a HTTP/1.1\r\n" + host + "Content-Encoding: gzip\r\nContent-Length: 4\r\n", body: "\x1f\x8b\x08\x00"},
		{name: "idempotency key", send: "POST /a HTTP/1.1\r\n" + host + "Idempotency-Key: k\r\nX-Idempotency-Key: l\r\nContent-Length: 0\r\n"},
		{name: "chunked body", send: "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n", body: "3\r\nabc\r\n0\r\n\r\n"},
		{name: "chunked body in other chunks", send: "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n", body: "003;ext=1\r\nabc\r\n0\r\n\r\n",
			wantBody: "3\r\nabc\r\n0\r\n\r\n"},
		{name: "trailers", send: "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", body: "3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n"},
		{name: "trailers that were not announced", send: "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n", body: "3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n"},

		{name: "forged", send: get("/") + "Forwarded: for=9.9.9.9\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\n",
			want: get("/")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app := startRaw(t)
			f := start(t, app.addr)
			if tt.want == "" {
				tt.want = tt.send
			}
			if tt.wantBody == "" {
				tt.wantBody = tt.body
			}
			answer := ask(t, f.addr, tt.send+"\r\n"+tt.body)
			if !strings.HasPrefix(answer, "HTTP/1.1 204 ") && !strings.HasPrefix(answer, "HTTP/1.0 204 ") {
				t.Fatalf("answered %q", answer)
			}
			added := said
			switch {
			case strings.Contains(tt.want, "APP.example:8080"):
				added = strings.Replace(strings.ReplaceAll(said, "app.example", "APP.example:8080"), "host=APP.example:8080", `host="APP.example:8080"`, 1)
			case strings.Contains(tt.want, "[::1]"):
				added = strings.Replace(strings.ReplaceAll(said, "app.example", "[::1]:80"), "host=[::1]:80", `host="[::1]:80"`, 1)
			}
			if got, want := message(app.next(t)), message(tt.want+added+"\r\n"+tt.wantBody); got != want {
				t.Errorf("arrived:\n%q\nwant:\n%q", got, want)
			}
		})
	}
}

// TestAnswersAreUntouched compares what a client gets with what the application answered.
func TestAnswersAreUntouched(t *testing.T) {
	t.Parallel()
	const date = "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n"
	for _, tt := range []struct {
		name, method, answer string
		want                 string // "" is answer
	}{
		{name: "plain", answer: "HTTP/1.1 200 OK\r\n" + date + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"},
		{name: "no date and no type", answer: "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>no type<p"},
		{name: "empty", answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{name: "errors of its own", answer: "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nbusy"},
		{name: "unknown status", answer: "HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n", want: "HTTP/1.1 599 status code 599\r\nContent-Length: 0\r\n\r\n"},
		{name: "204", answer: "HTTP/1.1 204 No Content\r\nETag: \"x\"\r\n\r\n"},
		{name: "304", answer: "HTTP/1.1 304 Not Modified\r\n" + date + "ETag: \"x\"\r\nCache-Control: no-cache\r\n\r\n"},
		{name: "304 with what describes a body", answer: "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Type: a/b\r\nContent-Length: 9\r\n\r\n",
			want: "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"},
		{name: "redirect elsewhere", answer: "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:3000//a;b?c=%zz\r\nContent-Length: 0\r\n\r\n"},
		{name: "HEAD", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nContent-Type: a/b\r\n\r\n"},
		{name: "cookies", answer: "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nServer: app\r\nx_odd: \x80\xff\r\nContent-Length: 0\r\n\r\n"},
		{name: "compressed", answer: "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"},
		{name: "chunked", answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
		{name: "trailers", answer: "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n"},
		{name: "trailers that were not announced", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n"},
		{name: "what is of the hop", answer: "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=9\r\nConnection: X-Hop\r\nX-Hop: 1\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
			want: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{name: "1xx first", answer: "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app := startRaw(t)
			app.answers(tt.answer)
			f := start(t, app.addr)
			if tt.want == "" {
				tt.want = tt.answer
			}
			if tt.method == "" {
				tt.method = "GET"
			}
			got := ask(t, f.addr, tt.method+" / HTTP/1.1\r\nHost: a\r\n\r\n")
			if got, want := message(got), message(tt.want); got != want {
				t.Errorf("answered:\n%q\nwant:\n%q", got, want)
			}
		})
	}
}

// TestForwarded is what the application hears of clients and gateways.
func TestForwarded(t *testing.T) {
	t.Parallel()
	const local = "127.0.0.0/8"
	for _, tt := range []struct {
		name, networks, send string
		want                 string
	}{
		{"a client", "", "", said},
		{"a client that lies", "10.0.0.0/8", "X-Forwarded-For: 10.1.1.1\r\nForwarded: for=10.1.1.1\r\n", said},
		{"a gateway that says nothing", local, "", said},
		{"a gateway", local, "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2, 3.3.3.3\r\nX-Forwarded-Host: shop.example\r\nX-Forwarded-Proto: https\r\n",
			"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1\r\nX-Forwarded-Host: shop.example\r\nX-Forwarded-Proto: https\r\n"},
		{"a gateway that says only how", local, "X-Forwarded-Proto: https\r\n", "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n"},
		{"a gateway of RFC 7239", local, "Forwarded: for=1.1.1.1;proto=https\r\nForwarded: for=\"[2001:db8::1]\"\r\n",
			"Forwarded: for=1.1.1.1;proto=https, for=\"[2001:db8::1]\", for=127.0.0.1\r\n"},
		{"a gateway of both", local, "Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 1.1.1.1\r\n",
			"Forwarded: for=1.1.1.1, for=127.0.0.1\r\nX-Forwarded-For: 1.1.1.1, 127.0.0.1\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app := startRaw(t)
			var with []func(*Config)
			if tt.networks != "" {
				with = append(with, trusting(tt.networks))
			}
			f := start(t, app.addr, with...)
			ask(t, f.addr, "GET / HTTP/1.1\r\nHost: app.example\r\n"+tt.send+"\r\n")
			if got, want := message(app.next(t)), message("GET / HTTP/1.1\r\nHost: app.example\r\n"+tt.want+"\r\n"); got != want {
				t.Errorf("arrived:\n%q\nwant:\n%q", got, want)
			}
		})
	}
	for addr, want := range map[string]string{"": "unknown", "1.2.3.4": "1.2.3.4", "2001:db8::1": `"[2001:db8::1]"`} {
		if got := node(addr); got != want {
			t.Errorf("node(%q) = %s, want %s", addr, got, want)
		}
	}
}

// TestNoHost is a request of before HTTP/1.1, which need not name one.
func TestNoHost(t *testing.T) {
	t.Parallel()
	app := startRaw(t)
	f := start(t, app.addr)
	ask(t, f.addr, "GET /a HTTP/1.0\r\n\r\n")
	want := "GET /a HTTP/1.1\r\nHost: " + app.addr + "\r\nForwarded: for=127.0.0.1;proto=http\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n"
	if got := app.next(t); message(got) != message(want) {
		t.Errorf("arrived:\n%q\nwant:\n%q", message(got), message(want))
	}
	// net/http knows no chunks here, so that they would be the next request.
	answer := askAll(t, f.addr, "POST /b HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\nGET /hidden HTTP/1.0\r\n\r\n")
	if !strings.Contains(answer, "Connection: close\r\n") || strings.Count(answer, " 204 ") != 1 {
		t.Errorf("answered %q", answer)
	}
	if got := app.next(t); !strings.HasPrefix(got, "POST /b ") || strings.Contains(got, "hidden") || len(app.got) > 0 {
		t.Errorf("arrived: %q", got)
	}
	if answer := ask(t, f.addr, "GET / HTTP/1.1\r\nHost: a\r\nX-Long: "+strings.Repeat("y", maxHead+8192)+"\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 431 ") {
		t.Errorf("answered %q", answer)
	}
}

// TestSmuggling sends what two servers could read as different requests. Each is refused, or arrives in one reading only,
// with nothing behind it.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	const hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	for _, tt := range []struct {
		name, send string
		// body is what arrives, as one chunked request; "" is a refusal.
		body string
	}{
		{"length and chunked", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n"},
		{"chunked and length", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n"},
		{"two lengths", "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", ""},
		{"two lengths in one", "Content-Length: 3, 4\r\n\r\nabcd", ""},
		{"length with a sign", "Content-Length: +3\r\n\r\nabc", ""},
		{"length below zero", "Content-Length: -1\r\n\r\nabc", ""},
		{"length in hex", "Content-Length: 0x3\r\n\r\nabc", ""},
		{"two encodings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", ""},
		{"encoding of two", "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", ""},
		{"unknown encoding", "Content-Length: 3\r\nTransfer-Encoding: xchunked\r\n\r\nabc", ""},
		{"encoding with a tab", "Content-Length: 3\r\nTransfer-Encoding: \x0bchunked\r\n\r\nabc", ""},
		{"space before the colon", "Content-Length: 3\r\nTransfer-Encoding : chunked\r\n\r\nabc", ""},
		{"space before the name", " Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", ""},
		{"chunk of no number", "Transfer-Encoding: chunked\r\n\r\nx\r\nabc\r\n0\r\n\r\n", ""},
		{"chunk longer than said", "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", ""},
		{"chunk of an overflowing length", "Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n", ""},
		{"two hosts", "Host: b\r\nContent-Length: 0\r\n\r\n", ""},
		{"bare CR in a header", "X-A: b\rX-C: d\r\nContent-Length: 0\r\n\r\n", ""},
		{"NUL in a header", "X-A: b\x00\r\nContent-Length: 0\r\n\r\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app := startRaw(t)
			f := start(t, app.addr)
			answer := askAll(t, f.addr, "POST / HTTP/1.1\r\nHost: app.example\r\n"+tt.send+hidden)
			if tt.body == "" {
				if !strings.HasPrefix(answer, "HTTP/1.1 400 ") && !strings.HasPrefix(answer, "HTTP/1.1 501 ") {
					t.Errorf("answered %q", answer)
				}
				if strings.Contains(answer, " 204 ") {
					t.Errorf("what followed was answered too: %q", answer)
				}
				select {
				case got := <-app.got:
					// Of a body that breaks the head has arrived; the application must see that it is no whole request.
					if strings.HasSuffix(got, "0\r\n\r\n") || strings.Contains(got, "hidden") {
						t.Errorf("arrived: %q", got)
					}
				default:
				}
				return
			}
			want := "POST / HTTP/1.1\r\nHost: app.example\r\n" + said + "Transfer-Encoding: chunked\r\n\r\n" + tt.body
			if got := app.next(t); message(got) != message(want) {
				t.Errorf("arrived:\n%q\nwant:\n%q", message(got), message(want))
			}
			// What follows may be the rest of the body for a gateway. It is nothing for us.
			if !strings.Contains(answer, "Connection: close\r\n") || strings.Count(answer, "HTTP/1.1 ") != 1 {
				t.Errorf("answered %q", answer)
			}
			select {
			case got := <-app.got:
				t.Errorf("then arrived: %q", got)
			default:
			}
		})
	}
}
