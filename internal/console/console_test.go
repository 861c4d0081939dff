package console

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var files = fstest.MapFS{
	"site/index.html":                 {Data: []byte(`<meta name="rowhook-base" content="{{base}}">` + strings.Repeat("<p>text</p>", 50))},
	"site/app.js":                     {Data: []byte(strings.Repeat("let x = 1;\n", 50))},
	"site/small.svg":                  {Data: []byte(`<svg/>`)},
	"site/vendor/preact@10.26.4.js":   {Data: []byte("export {}")},
	"site/vendor/uplot-1.6.32/u.css":  {Data: []byte("a {}")},
	"site/style.0123abcd.css":         {Data: []byte("b {}")},
	"site/vendor/versions.lock":       {Data: []byte("not served")},
	"site/pages/subscription.js":      {Data: []byte("export {}")},
	"site/pages/version-10.2.beta.js": {Data: []byte("export {}")},
}

func ask(t *testing.T, h http.Handler, method, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func bodyOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if b, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	return string(b)
}

func TestPathsAndCaches(t *testing.T) {
	t.Parallel()
	h := handler(files, `/api/"v1`)
	const immutable = "public, max-age=31536000, immutable"
	for _, c := range []struct {
		path   string
		status int
		kind   string
		cache  string
		begins string
	}{
		{"/console/", 200, "text/html; charset=utf-8", "no-cache", `<meta name="rowhook-base" content="/api/&#34;v1">`},
		{"/console/index.html", 200, "text/html; charset=utf-8", "no-cache", `<meta`},
		{"/console/subscription/sub_1", 200, "text/html; charset=utf-8", "no-cache", `<meta`},
		{"/console/app.js", 200, "text/javascript; charset=utf-8", "no-cache", "let x"},
		{"/console/pages/subscription.js", 200, "text/javascript; charset=utf-8", "no-cache", "export"},
		{"/console/pages/version-10.2.beta.js", 200, "text/javascript; charset=utf-8", "no-cache", "export"},
		{"/console/small.svg", 200, "image/svg+xml", "no-cache", "<svg/>"},
		{"/console/vendor/preact@10.26.4.js", 200, "text/javascript; charset=utf-8", immutable, "export"},
		{"/console/vendor/uplot-1.6.32/u.css", 200, "text/css; charset=utf-8", immutable, "a {}"},
		{"/console/style.0123abcd.css", 200, "text/css; charset=utf-8", immutable, "b {}"},
		{"/console/vendor/versions.lock", 404, "text/plain; charset=utf-8", "", "the console has no such file"},
		{"/console/none.js", 404, "text/plain; charset=utf-8", "", "the console has no such file"},
		{"/console/../site/app.js", 404, "text/plain; charset=utf-8", "", "the console has no such file"},
		{"/console", 302, "text/html; charset=utf-8", "no-cache", ""},
		{"/", 302, "text/html; charset=utf-8", "no-cache", ""},
	} {
		resp := ask(t, h, "GET", c.path)
		got := resp.Header
		if resp.StatusCode != c.status || got.Get("Content-Type") != c.kind || got.Get("Cache-Control") != c.cache || !strings.HasPrefix(bodyOf(t, resp), c.begins) {
			t.Errorf("GET %s = %d %v", c.path, resp.StatusCode, got)
		}
		if c.status == 302 && got.Get("Location") != Path {
			t.Errorf("GET %s leads to %q", c.path, got.Get("Location"))
		}
		for _, want := range headers {
			if got.Get(want[0]) != want[1] {
				t.Errorf("GET %s has the %s %q, want %q", c.path, want[0], got.Get(want[0]), want[1])
			}
		}
	}
	if resp := ask(t, h, "POST", "/console/"); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST = %d %v", resp.StatusCode, resp.Header)
	}
}

// TestFilesOfAVersion: all that the page names is kept for ever by browsers, and of another version nothing is kept.
func TestFilesOfAVersion(t *testing.T) {
	t.Parallel()
	h := Handler("/api/v1")
	page := bodyOf(t, ask(t, h, "GET", Path))
	named := regexp.MustCompile(`="(`+Path+`[^"]+)"`).FindAllStringSubmatch(page, -1)
	var files []string
	for _, m := range named {
		files = append(files, path.Base(m[1]))
		if resp := ask(t, h, "GET", m[1]); resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != forever || bodyOf(t, resp) == page {
			t.Errorf("%s = %d %v", m[1], resp.StatusCode, resp.Header)
		}
	}
	if want := []string{"first.js", "icon.svg", "app.css", "console.js"}; !slices.Equal(files, want) {
		t.Fatalf("the page names %q, want %q", files, want)
	}
	own := strings.Split(named[0][1], "/")[2]
	if resp := ask(t, h, "GET", Path+"-0123456789abcdef/console.js"); resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("of another version: %d %v", resp.StatusCode, resp.Header)
	}
	for _, none := range []string{own + "/none.js", own + "x/console.js", own + "/../console.js", own + "/" + own + "/console.js"} {
		if resp := ask(t, h, "GET", Path+none); resp.StatusCode != 404 {
			t.Errorf("%s = %d", none, resp.StatusCode)
		}
	}
	changed := fstest.MapFS{"site/index.html": {Data: []byte(`<a href="/console/a.js">`)}, "site/a.js": {Data: []byte("1")}}
	was := bodyOf(t, ask(t, handler(changed, ""), "GET", Path))
	changed["site/a.js"] = &fstest.MapFile{Data: []byte("2")}
	if is := bodyOf(t, ask(t, handler(changed, ""), "GET", Path)); is == was {
		t.Error("another file has the same path")
	}
}

func TestGzipAndTags(t *testing.T) {
	t.Parallel()
	h := handler(files, "/api/v1")
	plain := ask(t, h, "GET", "/console/app.js")
	text := bodyOf(t, plain)
	small := ask(t, h, "GET", "/console/app.js", "Accept-Encoding", "br;q=1.0, gzip;q=0.8")
	if small.Header.Get("Content-Encoding") != "gzip" || small.Header.Get("Vary") != "Accept-Encoding" || bodyOf(t, small) != text {
		t.Errorf("gzip: %v", small.Header)
	}
	if a, b := plain.Header.Get("ETag"), small.Header.Get("ETag"); a == b || a == "" || strings.HasPrefix(a, "W/") {
		t.Errorf("the tags %s and %s of other bytes", a, b)
	}
	for _, no := range []string{"", "br", "gzip;q=0", "gzip; q=0.0", "x-gzip-not"} {
		if resp := ask(t, h, "GET", "/console/app.js", "Accept-Encoding", no); resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("Accept-Encoding %q gets %v", no, resp.Header)
		}
	}
	// What gzip makes larger is sent as it is.
	if resp := ask(t, h, "GET", "/console/small.svg", "Accept-Encoding", "gzip"); resp.Header.Get("Content-Encoding") != "" || bodyOf(t, resp) != "<svg/>" {
		t.Errorf("a small one: %v", resp.Header)
	}
	for _, tag := range []string{small.Header.Get("ETag"), "W/" + small.Header.Get("ETag"), `"other", ` + small.Header.Get("ETag"), "*"} {
		resp := ask(t, h, "GET", "/console/app.js", "Accept-Encoding", "gzip", "If-None-Match", tag)
		if resp.StatusCode != 304 || bodyOf(t, resp) != "" || resp.Header.Get("ETag") != small.Header.Get("ETag") {
			t.Errorf("If-None-Match %s = %d %v", tag, resp.StatusCode, resp.Header)
		}
	}
	if resp := ask(t, h, "GET", "/console/app.js", "If-None-Match", small.Header.Get("ETag")); resp.StatusCode != 200 {
		t.Errorf("the tag of gzip for the plain one = %d", resp.StatusCode)
	}
}

// TestSiteIsServed loads the files of the program, and holds them to the policy that they are served with.
func TestSiteIsServed(t *testing.T) {
	t.Parallel()
	resp := ask(t, Handler("/api/v1"), "GET", Path)
	page := bodyOf(t, resp)
	if resp.StatusCode != 200 || !strings.Contains(page, `content="/api/v1"`) || strings.Contains(page, basePlace) {
		t.Fatalf("%d %s", resp.StatusCode, page)
	}
	for _, not := range []string{"<style", " style=", " onclick=", " onload=", "javascript:"} {
		if strings.Contains(page, not) {
			t.Errorf("index.html has %q, which its policy forbids", not)
		}
	}
	if err := fs.WalkDir(site, "site", func(at string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasPrefix(d.Name(), ".") {
			t.Errorf("%s is part of the program", at)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
