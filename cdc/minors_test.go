package cdc

import (
	"strings"
	"testing"
)

// TestOldMinor: the releases before the ones that lose no rows are told of, with the one to install.
func TestOldMinor(t *testing.T) {
	t.Parallel()
	for version, want := range map[int]string{
		140018: "14.19", 140019: "", 140023: "", 150000: "15.14", 150013: "15.14", 150014: "", 160009: "16.10", 160010: "", 170005: "17.6", 170006: "",
		180000: "", 190001: "", 130022: "",
	} {
		f := OldMinor(version)
		if (f != nil) != (want != "") {
			t.Errorf("%d: got %+v", version, f)
		}
		v := Survey{Catalog: &Catalog{ServerVersion: version}}
		if v.oldMinor(); len(v.Findings) > 0 != (want != "") {
			t.Errorf("%d: a survey finds %+v", version, v.Findings)
		}
		if f != nil && !strings.Contains(f.What, want+" mends") {
			t.Errorf("%d: got %q, want %s in it", version, f.What, want)
		}
	}
}
