package identity_test

import (
	"os"
	"testing"

	"github.com/rowhook/rowhook/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
