package hooktest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Ports below those that Linux and macOS draw from for connections and listeners that ask for none: between the look and the
// use of a port nobody is given it by chance.
const firstPort, endOfPorts = 20_000, 32_000

var (
	givenMu sync.Mutex
	given   = map[int]bool{}
)

// FreeAddress returns an address of the loopback interface at which nothing listens, for a program that is told where to. It gives each
// to one caller only.
func FreeAddress(t testing.TB) string {
	t.Helper()
	givenMu.Lock()
	defer givenMu.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(endOfPorts-firstPort)
		if given[port] {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		given[port] = true
		_ = l.Close()
		return l.Addr().String()
	}
	t.Fatalf("no free port from %d to %d", firstPort, endOfPorts)
	return ""
}
