//go:build unix

package chaos

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// message is an event as it is read of a request: of a batch it is one of many.
type message struct {
	ID       string `json:"id"`
	Position string `json:"position"`
	Type     string `json:"type"`
	Data     struct {
		ID   int64  `json:"id"`
		Seq  int64  `json:"seq"`
		Mark int64  `json:"mark"`
		Body string `json:"body"`
	} `json:"data"`
}

// operation is 0 for what was never committed.
func (m *message) operation() int {
	return map[string]int{"item.create": insert, "item.update": update, "item.delete": remove}[m.Type]
}

// seq is the number of the change.
func (m *message) seq() int64 {
	if m.Type == "item.delete" {
		return m.Data.Seq + 1 // the row is what it was before
	}
	return m.Data.Seq
}

func (m *message) sum() uint64 { return sumOf(m.operation(), m.Data.Mark) }

// wrong says what no change can have brought about, empty if there is nothing.
func (m *message) wrong() string {
	sum := md5.Sum(strconv.AppendInt(nil, m.Data.Mark, 10))
	switch {
	case m.operation() == 0 || m.Data.Seq < 1 || m.ID == "":
		return "it is of no change"
	case !strings.HasPrefix(m.Data.Body, hex.EncodeToString(sum[:])):
		return fmt.Sprintf("the body of number %d of key %d is not the row's", m.seq(), m.Data.ID)
	}
	return ""
}

// compressedFrom is the size from which on a body is sent as gzip, where that is wanted.
const compressedFrom = 1 << 10

// read reads the messages of a request to a target, and an error says what about it is not as the target wants it.
func (t *target) read(q *hooktest.Request) ([]message, error) {
	body := q.Body
	compressed := q.Header.Get("Content-Encoding") == "gzip"
	if compressed {
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if body, err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
	if compressed != (t.gzip && len(body) >= compressedFrom) {
		return nil, fmt.Errorf("gzip is %t of %d bytes", compressed, len(body))
	}
	if !t.batch {
		m := message{ID: q.ID, Position: q.Position}
		if err := json.Unmarshal(body, &m); err != nil {
			return nil, err
		}
		return []message{m}, nil
	}
	var all []message
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, err
	}
	if n := len(all); n == 0 || n > batchMax {
		return nil, fmt.Errorf("%d messages", n)
	}
	for i := range all[1:] {
		if all[i].Position >= all[i+1].Position {
			return nil, errors.New("the messages are not in the order of their positions")
		}
	}
	if last := all[len(all)-1].Position; last != q.Position {
		return nil, fmt.Errorf("the last message stands at %s", last)
	}
	if !strings.HasPrefix(q.ID, "bat_") || q.Type != "rowhook.batch" {
		return nil, errors.New("it is an array, and the headers do not say so")
	}
	return all, nil
}

// respond is how a target answers a request. A batch fares like the first of its messages: if each could make it fail, hardly one
// would be taken at once, and a target that takes hardly anything is seldom tried.
func (t *target) respond(q *hooktest.Request, messages []message) hooktest.Answer {
	if len(messages) > 1 && t.dice(q.ID, "large")%20 == 0 {
		return hooktest.Status(413)
	}
	return t.temper(t, messages[0].Data.ID, messages[0].ID, q.Attempt)
}

// taken says whether an answer is a success.
func taken(a hooktest.Answer) bool { return a.Status < 300 && a.Break == 0 && a.Raw == "" && !a.Hang }
