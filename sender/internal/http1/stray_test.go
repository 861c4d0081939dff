package http1

import (
	"net"
	"testing"
)

// TestStrayConnections: somebody else may connect to a port of this machine, and say nothing.
func TestStrayConnections(t *testing.T) {
	s := answering(t, ok)
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	<-s.ended
}
