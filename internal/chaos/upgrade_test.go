//go:build unix

package chaos

import (
	"os"
	"testing"
	"time"
)

// further is what a later release may do to a store.
func further(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../store/testdata/next.sql")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestUpgrade is for make upgrade.
func TestUpgrade(t *testing.T) {
	previous := os.Getenv("UPGRADE_PREVIOUS")
	if previous == "" {
		t.Skip("make upgrade runs it: it takes some minutes, and builds the release before")
	}
	breakIt(t, Options{
		Previous: previous, Rounds: number(t, "UPGRADE_ROUNDS", 6), MustMigrate: os.Getenv("UPGRADE_MUST_MIGRATE") != "", Further: further(t),
		Rate: number(t, "UPGRADE_RATE", 100), Writers: 4, Keys: 300, Bulk: 1000, Standby: true, Gap: 3 * time.Second,
	})
}
