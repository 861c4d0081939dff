package subscriptions

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Mistake is one thing that is wrong with a body. Field is its path: events[1], delivery.timeout; empty for the whole.
type Mistake struct {
	Field  string
	Detail string
}

// Invalid is the error of a body that is no subscription. It lists all mistakes, and holds no secret.
type Invalid struct {
	// Malformed says that the body is not even JSON; then there is one mistake.
	Malformed bool
	Mistakes  []Mistake
}

// Error lists the mistakes on one line.
func (e *Invalid) Error() string {
	texts := make([]string, len(e.Mistakes))
	for i, m := range e.Mistakes {
		texts[i] = m.Detail
		if m.Field != "" {
			texts[i] = m.Field + ": " + m.Detail
		}
	}
	return strings.Join(texts, "; ")
}

// maxMistakes bounds the work that a hostile body can cause, and the answer to it.
const maxMistakes = 50

// mistakes collects. The zero value is ready to use.
type mistakes struct {
	list []Mistake
	more bool
}

func (m *mistakes) add(field, format string, args ...any) {
	if len(m.list) == maxMistakes {
		m.more = true
		return
	}
	m.list = append(m.list, Mistake{shorten(field, 4*maxQuoted), fmt.Sprintf(format, args...)})
}

// full says that further mistakes need not be looked for.
func (m *mistakes) full() bool { return len(m.list) == maxMistakes }

func (m *mistakes) err() error {
	if len(m.list) == 0 {
		return nil
	}
	list := m.list
	if m.more {
		list = append(list, Mistake{Detail: "there are more mistakes: mend these first"})
	}
	return &Invalid{Mistakes: list}
}

func malformed(format string, args ...any) error {
	return &Invalid{Malformed: true, Mistakes: []Mistake{{Detail: fmt.Sprintf(format, args...)}}}
}

// maxQuoted is how many bytes of a caller's text an error repeats.
const maxQuoted = 80

func quote(s string) string { return strconv.Quote(shorten(s, maxQuoted)) }

func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}
