package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxScript is how large all scripts may be together, compressed.
const maxScript = 100_000

func siteFiles(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(site, "site", func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := site.ReadFile(at)
		all[strings.TrimPrefix(at, "site/")] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestVendored holds that what is not ours is what the packages have, and that nothing else is there.
func TestVendored(t *testing.T) {
	t.Parallel()
	files := siteFiles(t)
	var known []string
	for line := range strings.Lines(files["vendor/versions.txt"]) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		if len(f) != 5 {
			t.Fatalf("versions.txt: %q has not five parts", line)
		}
		name := "vendor/" + f[0] + "@" + f[1] + "/" + path.Base(f[3])
		known = append(known, name)
		sum := sha256.Sum256([]byte(files[name]))
		if got := hex.EncodeToString(sum[:]); got != f[4] {
			t.Errorf("%s has the SHA-256 %s, and versions.txt says %s: run make console-vendor", name, got, f[4])
		}
	}
	for name := range files {
		if strings.HasPrefix(name, "vendor/") && name != "vendor/versions.txt" && !slices.Contains(known, name) {
			t.Errorf("%s is not in versions.txt", name)
		}
	}
}

func TestScriptsAreSmall(t *testing.T) {
	t.Parallel()
	total := 0
	for name, text := range siteFiles(t) {
		if path.Ext(name) != ".js" {
			continue
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		total += b.Len()
	}
	t.Logf("%d bytes", total)
	if total > maxScript {
		t.Errorf("all scripts are %d bytes compressed, and may be %d", total, maxScript)
	}
}

var (
	inline    = regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|<style|\sstyle="|\son\w+="`)
	imported  = regexp.MustCompile(`(?m)^(?:import|export) [^;]*from '([^']+)'`)
	asked     = regexp.MustCompile(`(?:href|src)="/console/([^"]+)"`)
	elsewhere = regexp.MustCompile(`(?:https?:)?//[a-z][\w.-]+\.(?:com|org|net|io|dev)\b`)
)

// TestSiteIsWhole holds that every file that is asked for is there, and asked for in advance, and that nothing is there for which the
// policy would have to be weakened.
func TestSiteIsWhole(t *testing.T) {
	t.Parallel()
	files := siteFiles(t)
	page := files["index.html"]
	if m := inline.FindString(page); m != "" {
		t.Errorf("index.html has %q, which the policy forbids", m)
	}
	for _, m := range asked.FindAllStringSubmatch(page, -1) {
		if _, ok := files[m[1]]; !ok {
			t.Errorf("index.html asks for %s, which is not there", m[1])
		}
	}
	for name, text := range files {
		if path.Ext(name) != ".js" || strings.HasPrefix(name, "vendor/") {
			continue
		}
		for _, m := range imported.FindAllStringSubmatch(text, -1) {
			at := path.Join(path.Dir(name), m[1])
			if _, ok := files[at]; !ok {
				t.Errorf("%s imports %s, which is not there", name, m[1])
			}
			if !strings.Contains(page, `<link rel="modulepreload" href="/console/`+at+`">`) {
				t.Errorf("%s imports %s, which index.html does not ask for in advance: the page waits for one file after the other", name, at)
			}
		}
		for _, word := range []string{"dangerouslySetInnerHTML", "innerHTML", "eval(", "new Function"} {
			if strings.Contains(text, word) {
				t.Errorf("%s has %s", name, word)
			}
		}
		for _, m := range elsewhere.FindAllString(text, -1) {
			if !strings.HasSuffix(m, "//example.com") {
				t.Errorf("%s names %s: the console asks nobody but rowhook", name, m)
			}
		}
	}
}
