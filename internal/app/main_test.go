package app_test

import (
	"os"
	"testing"

	"github.com/rowhook/rowhook/internal/pgtest"
)

func TestMain(m *testing.M) {
	if os.Getenv("ROWHOOK_TEST_CHILD") != "" {
		os.Exit(child())
	}
	pgtest.MoreAtOnce()
	os.Exit(pgtest.Run(m))
}
