package http1

import "bytes"

// head is what a success in its plainest form says: HTTP/1.1, a length or none needed, and nothing that changes how its
// body is read.
type head struct {
	// size is how many bytes the head has, with the line that ends it.
	size   int
	status int
	length int64
	close  bool
}

// readHead reads a head in place. It is false for all that is not whole, not a success, or not plain: then net/http is to
// parse it. It must never accept what net/http does not, or read it in another way.
func readHead(b []byte) (head, bool) {
	const start = len("HTTP/1.1 2xx")
	if len(b) < start+2 || string(b[:10]) != "HTTP/1.1 2" || !digit(b[10]) || !digit(b[11]) {
		return head{}, false
	}
	h := head{status: 200 + 10*int(b[10]-'0') + int(b[11]-'0')}
	line, rest, ok := cutLine(b[start:])
	if !ok || len(line) > 0 && line[0] != ' ' {
		return head{}, false
	}
	length, connection := false, false
	for {
		if line, rest, ok = cutLine(rest); !ok {
			return head{}, false
		}
		if len(line) == 0 {
			break
		}
		colon := 0
		for colon < len(line) && token(line[colon]) {
			colon++
		}
		if colon == 0 || colon == len(line) || line[colon] != ':' {
			return head{}, false
		}
		name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
		switch {
		case equal(name, "content-length"):
			n, number := decimal(value)
			if !number || length {
				return head{}, false
			}
			h.length, length = n, true
		case equal(name, "connection"):
			h.close = equal(value, "close")
			if !h.close && !equal(value, "keep-alive") || connection {
				return head{}, false
			}
			connection = true
		case equal(name, "transfer-encoding"), equal(name, "trailer"):
			return head{}, false
		}
	}
	if h.status == 204 {
		h.length = 0
	} else if !length {
		return head{}, false
	}
	h.size = len(b) - len(rest)
	return h, true
}

// cutLine cuts a line of printable ASCII.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	for i, c := range b {
		if c >= ' ' && c < 0x7f || c == '\t' {
			continue
		}
		if c == '\r' && i+1 < len(b) && b[i+1] == '\n' {
			return b[:i], b[i+2:], true
		}
		break
	}
	return nil, nil, false
}

// decimal reads a number that fits.
func decimal(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	n := int64(0)
	for _, c := range b {
		if !digit(c) {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// equal compares with a text in lower case.
func equal(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
