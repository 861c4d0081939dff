package doccheck

import (
	"flag"
	"os"
	"testing"

	"github.com/rowhook/rowhook/internal/pgtest"
)

var update = flag.Bool("update", false, "write the parts of the docs that are made from the code")

// cleanups are called when all tests have ended.
var cleanups []func()

func TestMain(m *testing.M) {
	code := pgtest.Run(m)
	for _, c := range cleanups {
		c()
	}
	os.Exit(code)
}
