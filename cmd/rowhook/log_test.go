package main

import (
	"bytes"
	stdlog "log"
	"strings"
	"testing"
)

// TestStandardLogIsTaken: what libraries log is one line at debug, whatever is in it. The standard log is everybody's: it is not parallel.
func TestStandardLogIsTaken(t *testing.T) {
	flags, out := stdlog.Flags(), stdlog.Writer()
	t.Cleanup(func() { stdlog.SetFlags(flags); stdlog.SetOutput(out) })
	for level, want := range map[string]string{"info": "", "debug": `level=DEBUG msg="unasked \x1b[2J\nlevel=ERROR msg=forged"` + "\n"} {
		var b bytes.Buffer
		log, err := (&logFlags{format: "text", level: level}).logger(&b)
		if err != nil {
			t.Fatal(err)
		}
		takeStandardLog(log)
		stdlog.Print("unasked \x1b[2J\nlevel=ERROR msg=forged")
		if _, got, _ := strings.Cut(b.String(), " "); got != want {
			t.Errorf("%s: got %q, want %q", level, got, want)
		}
	}
}
