package scaffold

import (
	"flag"
	"os"
	"testing"

	"github.com/rowhook/rowhook/internal/pgtest"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
