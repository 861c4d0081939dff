package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// wire compares a request with the one that net/http writes.
func wire(t *testing.T, method string, u *url.URL, e *Endpoint, fields []Field, body string) {
	t.Helper()
	ours, ok := e.appendRequest(nil, fields, len(body), []byte(body))
	if !ok {
		t.Fatalf("%s: not to be written", u)
	}
	var content io.Reader
	if method != http.MethodGet {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, "http://x/", content)
	if err != nil {
		t.Fatal(err)
	}
	req.URL, req.Host = u, u.Host
	req.Header.Set("User-Agent", "test")
	if u.User != nil {
		password, _ := u.User.Password()
		req.SetBasicAuth(u.User.Username(), password)
	}
	for _, f := range fields {
		req.Header.Set(f.Name, f.Value)
	}
	var theirs bytes.Buffer
	if err := req.Write(&theirs); err != nil {
		t.Fatalf("%s: net/http would not write it: %v", u, err)
	}
	got, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(ours)))
	if err != nil {
		t.Fatalf("%q: %v", ours, err)
	}
	want, err := http.ReadRequest(bufio.NewReader(&theirs))
	if err != nil {
		t.Fatal(err)
	}
	gotBody, _ := io.ReadAll(got.Body)
	if got.Method != want.Method || got.RequestURI != want.RequestURI || got.Host != want.Host || !reflect.DeepEqual(got.Header, want.Header) ||
		got.ContentLength != want.ContentLength || string(gotBody) != body {
		t.Errorf("got %q, net/http writes\n%s %s %v", ours, want.RequestURI, want.Host, want.Header)
	}
}

var urls = []string{
	"http://host", "http://host/", "http://host:8080/a/b?c=d&e=%20f", "http://host?", "http://host/?#fragment", "http://HOST/%2f%zz",
	"http://u:p@host/", "http://u@host/", "http://u:p%20%0d%0aX:y@host/", "http://[::1]/", "http://[::1]:80/", "http://[fe80::1%25eth0]/", "http://host:/",
	"http://bücher.example/", "http://host/ü?ü=ü", "http://host/a b", "http://host/?a b", "https://host:443//x", "http://host:0/", "http://host:99999/",
	"http:opaque", "http:///x", "ftp://host/", "http://ho_st./a;b/../c", "http://a,b/", "http://host/\\", "http://host/*",
}

func TestRequestsAreThoseOfNetHTTP(t *testing.T) {
	t.Parallel()
	taken := 0
	for _, s := range urls {
		u, err := url.Parse(s)
		if err != nil {
			continue
		}
		if e := NewEndpoint(http.MethodPost, u, Field{"User-Agent", "test"}); e != nil {
			taken++
			fields := []Field{{"Webhook-Id", "evt_1"}, {"X-Empty", ""}}
			wire(t, http.MethodPost, u, e, fields, `{"a":"b"}`)
			wire(t, http.MethodPut, u, NewEndpoint(http.MethodPut, u, Field{"User-Agent", "test"}), fields, `{"a":"b"}`)
			get := NewEndpoint(http.MethodGet, u, Field{"User-Agent", "test"})
			wire(t, http.MethodGet, u, get, fields, "")
			other := *u
			other.RawQuery, other.ForceQuery = "a=b+c&d%5B%5D=", false
			wire(t, http.MethodGet, &other, get.WithQuery(other.RawQuery), fields, "")
			wire(t, http.MethodPost, &other, e.WithQuery(other.RawQuery), fields, "x")
			if get.WithQuery("a b") != nil || get.WithQuery("a\r\nb") != nil {
				t.Error("a query that needs mending is taken")
			}
		}
	}
	if taken < 12 {
		t.Errorf("%d of %d URLs are taken", taken, len(urls))
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range urls {
		f.Add(s, "X-Name", "value", "body")
	}
	f.Add("http://host", "X\r\nY", "v\r\nX: y", "b")
	f.Fuzz(func(t *testing.T, s, name, value, body string) {
		u, err := url.Parse(s)
		if err != nil || body == "" || strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "User-Agent") {
			return
		}
		e := NewEndpoint(http.MethodPost, u, Field{"User-Agent", "test"})
		if e == nil {
			return
		}
		fields := []Field{{name, value}}
		if _, ok := e.appendRequest(nil, fields, len(body), []byte(body)); !ok {
			fields = nil
		}
		wire(t, http.MethodPost, u, e, fields, body)
	})
}

func TestHeadersCannotHoldOthers(t *testing.T) {
	t.Parallel()
	e := endpoint("http://host/")
	for _, f := range []Field{{"A\r\nB", "c"}, {"A", "b\r\nC: d"}, {"A", "b\nC: d"}, {"A", "b\rC: d"}, {"A", "b\x00"}, {"A:", "b"}, {"", "b"}, {"A b", "c"},
		{"Content-Length", "7"}, {"transfer-encoding", "chunked"}, {"Host", "other"}, {"connection", "close"}, {"Expect", "100-continue"},
		{"TE", "trailers"}, {"A", " b"}, {"A", "b\t"}} {
		if _, ok := e.appendRequest(nil, []Field{f}, 1, []byte("x")); ok {
			t.Errorf("%q is written", f)
		}
		if NewEndpoint(http.MethodPost, &url.URL{Scheme: "http", Host: "host"}, f) != nil {
			t.Errorf("%q is kept", f)
		}
	}
}
