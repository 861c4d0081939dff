package verify

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
)

// Capture is a request as a receiver wrote it down.
type Capture struct {
	Header http.Header
	Body   []byte
}

// Parse reads a request as it goes over the wire, or as an editor or a log has left it: the first line may be missing, lines may end in
// LF alone. The body is all that follows the first empty line, byte for byte. An error names the line.
func Parse(raw []byte) (*Capture, error) {
	c := &Capture{Header: http.Header{}}
	for n := 1; ; n++ {
		line, rest, more := bytes.Cut(raw, []byte("\n"))
		if text := strings.TrimSuffix(string(line), "\r"); text == "" {
			c.Body = rest
			break
		} else if err := c.add(text, n == 1); err != nil {
			return nil, fmt.Errorf("line %d %w", n, err)
		}
		if !more {
			break // headers and no body
		}
		raw = rest
	}
	if len(c.Header) == 0 {
		return nil, errors.New("there are no headers: they come first, one on a line, then an empty line, then the body")
	}
	return c, nil
}

// Add adds a header as it stands in a request: "webhook-id: evt_…".
func (c *Capture) Add(line string) error { return c.add(line, false) }

func (c *Capture) add(line string, first bool) error {
	// curl -v and the like mark what was sent and what was received.
	line = strings.TrimPrefix(strings.TrimPrefix(line, "> "), "< ")
	if first {
		if fields := strings.Fields(line); len(fields) == 3 && strings.HasPrefix(fields[2], "HTTP/") {
			return nil
		}
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" || strings.ContainsAny(name, " \t\"{}") {
		return errors.New(`is no header: want "name: value"`)
	}
	c.Header.Add(textproto.CanonicalMIMEHeaderKey(name), strings.TrimSpace(value))
	return nil
}
