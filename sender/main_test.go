package sender_test

import (
	"os"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/sender"
)

func TestMain(m *testing.M) {
	sender.SetProxyWait(20 * time.Millisecond)
	sender.SetFallbackRetries(5*time.Millisecond, 5*time.Millisecond)
	os.Exit(pgtest.Run(m))
}
