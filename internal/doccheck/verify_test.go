package doccheck

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVerifyCommand runs what docs/receiving.md says of rowhook verify, and compares what it prints.
func TestVerifyCommand(t *testing.T) {
	t.Parallel()
	needs(t, "bash")
	s := &site{t: t, dir: t.TempDir(), replace: strings.NewReplacer(),
		env: append(environ(), "PATH="+filepath.Dir(build(t).rowhook)+string(filepath.ListSeparator)+os.Getenv("PATH"))}
	all := blocks(t, "docs/receiving.md")
	for i, b := range all {
		if b.lang != "sh" {
			continue
		}
		if out := s.run(b); strings.TrimSpace(out) != strings.TrimSpace(all[i+1].text) {
			t.Errorf("%s prints\n%s", b, out)
		}
		return
	}
	t.Error("docs/receiving.md does not show rowhook verify")
}
