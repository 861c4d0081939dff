package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Path is where the console is.
const Path = "/console/"

//go:embed site/*.* site/vendor/uplot@1.6.32
var site embed.FS

// basePlace stands in index.html for the path of the API.
const basePlace = "{{base}}"

// policy lets a page load its own files and ask its own origin, and nothing else: no inline script, no other site, no frame.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// headers go with every answer.
var headers = [][2]string{
	{"Content-Security-Policy", policy},
	{"X-Content-Type-Options", "nosniff"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
}

// types are those of the files, by their extensions. What is not here is not served.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".mjs":  "text/javascript; charset=utf-8",
	".json": "application/json",
	".txt":  "text/plain; charset=utf-8",
	".md":   "text/plain; charset=utf-8",
	".svg":  "image/svg+xml",
	".png":  "image/png",
	".ico":  "image/x-icon",
}

// versioned are paths that change with their content: a version, or a hash, is part of them.
var versioned = regexp.MustCompile(`[-@/.]\d+\.\d+\.\d+|\.[0-9a-f]{8,}\.`)

// inVersion is a folder in which every file is there once more, for the page to name: the hash of all files. A browser that has them asks for
// none of them again, and modules lead to each other within it.
var inVersion = regexp.MustCompile(`^-[0-9a-f]{16}$`)

// file is one as it is served.
type file struct {
	kind, cache  string
	plain, small []byte
	// tag is the ETag of plain; that of small has an ending.
	tag string
	// version is, of the page, the folder that it names.
	version string
}

// forever is for what changes with its path.
const forever = "public, max-age=31536000, immutable"

// gzipped ends the ETag of a file in gzip: other bytes, another tag.
const gzipped = "-gz"

// Handler serves the console below Path, for an API that is at base. What is there is compressed once, at the first request.
func Handler(base string) http.Handler {
	return handler(site, base)
}

func handler(from fs.FS, base string) http.Handler {
	files := sync.OnceValues(func() (map[string]*file, error) { return load(from, base) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, h := range headers {
			w.Header().Set(h[0], h[1])
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the console is read by GET", http.StatusMethodNotAllowed)
			return
		}
		all, err := files()
		if err != nil { // a file of the program itself: a test loads them
			http.Error(w, "the console cannot be read", http.StatusInternalServerError)
			return
		}
		name, below := strings.CutPrefix(r.URL.Path, Path)
		if !below {
			w.Header().Set("Cache-Control", "no-cache")
			http.Redirect(w, r, Path, http.StatusFound)
			return
		}
		f, fixed := all[name], false
		if version, file, in := strings.Cut(name, "/"); in && inVersion.MatchString(version) {
			// Another rowhook of the same address may be of another release: what it named is there, and asked for again.
			f, fixed = all[file], all[index].version == version
		}
		if f == nil && (name == "" || !strings.Contains(path.Base(name), ".")) {
			f = all[index] // a page of the console: its script finds which one
		}
		if f == nil {
			http.Error(w, "the console has no such file", http.StatusNotFound)
			return
		}
		f.serve(w, r, fixed)
	})
}

// index is what is shown where no file is named.
const index = "index.html"

// load reads every file that has a type.
func load(from fs.FS, base string) (map[string]*file, error) {
	all := map[string]*file{}
	version, err := versionOf(from)
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(from, "site", func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := strings.TrimPrefix(at, "site/")
		kind, known := types[path.Ext(name)]
		if !known {
			return nil
		}
		body, err := fs.ReadFile(from, at)
		if err != nil {
			return err
		}
		if path.Ext(name) == ".html" {
			body = bytes.ReplaceAll(body, []byte(basePlace), []byte(html.EscapeString(base)))
			body = bytes.ReplaceAll(body, []byte(`="`+Path), []byte(`="`+Path+version+"/"))
		}
		f, err := newFile(name, kind, body)
		if f != nil {
			f.version = version
		}
		all[name] = f
		return err
	})
	if err == nil && all[index] == nil {
		err = fmt.Errorf("there is no %s", index)
	}
	return all, err
}

// versionOf is the folder for the files as they are.
func versionOf(from fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(from, "site", func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(from, at)
		fmt.Fprintf(sum, "%s %d\n", at, len(body))
		sum.Write(body)
		return err
	})
	return fmt.Sprintf("-%x", sum.Sum(nil)[:8]), err
}

func newFile(name, kind string, body []byte) (*file, error) {
	sum := sha256.Sum256(body)
	f := &file{kind: kind, plain: body, tag: base64.RawURLEncoding.EncodeToString(sum[:15]), cache: "no-cache"}
	if versioned.MatchString(name) {
		f.cache = forever
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if b.Len() < len(body) {
		f.small = b.Bytes()
	}
	return f, nil
}

func (f *file) serve(w http.ResponseWriter, r *http.Request, fixed bool) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", f.cache)
	if fixed {
		h.Set("Cache-Control", forever)
	}
	h.Set("Vary", "Accept-Encoding")
	body, tag := f.plain, `"`+f.tag+`"`
	if f.small != nil && takesGzip(r) {
		body, tag = f.small, `"`+f.tag+gzipped+`"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", tag)
	if knows(r, tag) {
		h.Del("Content-Type")
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	w.Write(body) // net/http leaves it out for HEAD; a caller that is gone is nobody's concern
}

// takesGzip says whether the client takes gzip. One that gives it a weight of 0 does not.
func takesGzip(r *http.Request) bool {
	for _, one := range strings.Split(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, parameters, _ := strings.Cut(one, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		weight, given := strings.CutPrefix(strings.TrimSpace(parameters), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		return !given || err == nil && q > 0
	}
	return false
}

// knows says whether the client has what the tag is of.
func knows(r *http.Request, tag string) bool {
	for _, one := range strings.Split(strings.Join(r.Header.Values("If-None-Match"), ","), ",") {
		if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); one == tag || one == "*" {
			return true
		}
	}
	return false
}
