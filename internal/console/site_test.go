package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxScript is how large all scripts may be together, compressed.
const maxScript = 100_000

// siteFiles are those that are served.
func siteFiles(t *testing.T) map[string]string { return filesBelow(t, site, "site") }

// filesBelow are the texts of a folder's files.
func filesBelow(t *testing.T, in fs.FS, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(in, folder, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(in, at)
		all[strings.TrimPrefix(at, folder+"/")] = string(b)
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
	files := filesBelow(t, os.DirFS("."), "site")
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
	asked     = regexp.MustCompile(`(?:href|src)="/console/([^"]+)"`)
	elsewhere = regexp.MustCompile(`(?:https?:)?//[a-z][\w.-]+\.(?:com|org|net|io|dev)\b`)
)

// TestSiteIsWhole holds that every file that is asked for is there, and that nothing is there for which the policy would have to be weakened.
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
	written := filesBelow(t, os.DirFS("."), "script")
	written["first.js"] = files["first.js"]
	for name, text := range written {
		if m := forbidden.FindString(text); m != "" {
			t.Errorf("%s has %s", name, m)
		}
		for _, m := range elsewhere.FindAllString(text, -1) {
			if !strings.HasSuffix(m, "//example.com") {
				t.Errorf("%s names %s: the console asks nobody but rowhook", name, m)
			}
		}
	}
}
