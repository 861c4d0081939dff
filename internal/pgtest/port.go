package pgtest

import (
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below the range out of which systems serve outgoing connections and listeners on port 0, so that
// nobody takes a server's port while it is down for a moment.
const (
	lowestPort  = 15000
	highestPort = 32000
)

// pickPort returns a port of 127.0.0.1 that is free now. Somebody may still take it before the server does.
func pickPort() int {
	for range 100 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		_ = l.Close()
		return port
	}
	return lowestPort + rand.IntN(highestPort-lowestPort) // all taken: the server will say so
}
