package console

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

// builtScript is the one script of the pages: a browser needs a fifth of a second less for it than for its twenty-five modules.
const builtScript = "site/console.js"

// build makes it of script/app.js, and what that imports. Names and lines stay, for whoever reads an error.
func build(t *testing.T) []byte {
	t.Helper()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	made := api.Build(api.BuildOptions{
		EntryPoints: []string{"script/app.js"}, AbsWorkingDir: here, Bundle: true, Format: api.FormatESModule, Target: api.ES2023,
		Charset: api.CharsetUTF8, LegalComments: api.LegalCommentsEndOfFile, Outfile: builtScript,
	})
	for _, m := range append(made.Errors, made.Warnings...) {
		t.Errorf("%+v: %s", m.Location, m.Text)
	}
	if t.Failed() {
		t.FailNow()
	}
	return made.OutputFiles[0].Contents
}

// TestScriptIsBuilt holds that the script is what its modules make: make console-script.
func TestScriptIsBuilt(t *testing.T) {
	t.Parallel()
	want := build(t)
	if os.Getenv("ROWHOOK_CONSOLE_SCRIPT") != "" {
		if err := os.WriteFile(builtScript, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(builtScript)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what script/ makes (%v): run make console-script", builtScript, err)
	}
	all, err := filepath.Glob("script/*.js")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("script/pages/*.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(all, pages...) {
		if !strings.Contains(string(want), "\n// "+name+"\n") && !strings.HasPrefix(string(want), "// "+name+"\n") {
			t.Errorf("%s is no part of %s", name, builtScript)
		}
	}
}

var forbidden = regexp.MustCompile(`dangerouslySetInnerHTML|innerHTML|\beval\(|new Function`)
