package subscriptions

import (
	"strings"

	"github.com/rowhook/rowhook/mapping"
)

// names gives texts that repeat (accounts, event names) small numbers, so that what refers to them is 4 bytes wide. A
// number is free again when nobody uses its text.
type names struct {
	numbers map[string]name
	// texts are the reverse, by number.
	texts []string
	free  []uint32
}

type name struct{ number, uses uint32 }

// acquire returns the text's number, from 1, and counts one more use. It is true when that is the first.
func (n *names) acquire(text string) (number uint32, first bool) {
	e, ok := n.numbers[text]
	if !ok {
		if n.numbers == nil {
			n.numbers, n.texts = map[string]name{}, make([]string, 1)
		}
		// The caller's text may be a part of a large one.
		text = strings.Clone(text)
		if last := len(n.free) - 1; last >= 0 {
			e.number = n.free[last]
			n.free = n.free[:last]
			n.texts[e.number] = text
		} else {
			e.number = uint32(len(n.texts))
			n.texts = append(n.texts, text)
		}
	}
	e.uses++
	n.numbers[text] = e
	return e.number, !ok
}

// release undoes one acquire. It is true when nobody uses the number any more.
func (n *names) release(number uint32) (last bool) {
	text := n.texts[number]
	e := n.numbers[text]
	if e.uses--; e.uses > 0 {
		n.numbers[text] = e
		return false
	}
	delete(n.numbers, text)
	n.texts[number] = ""
	n.free = append(n.free, number)
	return true
}

// find returns the number of a text that is in use.
func (n *names) find(text string) (uint32, bool) {
	e, ok := n.numbers[text]
	return e.number, ok
}

// text returns what has the number.
func (n *names) text(number uint32) string { return n.texts[number] }

// noticesOf begins the names of events that tell of subscriptions.
const noticesOf = mapping.SubscriptionResource + "."

// Wanting are the entries of a subscription's events by which it gets an event; with a pattern, that pattern. Without an
// event it is nil.
func Wanting(event string) []string {
	if event == "" {
		return nil
	}
	if strings.HasPrefix(event, noticesOf) && !strings.HasSuffix(event, "*") {
		return []string{event, noticesOf + "*"} // it is not covered by *
	}
	resource, _, named := strings.Cut(event, ".")
	if !named || strings.HasSuffix(event, "*") {
		return []string{event}
	}
	return []string{event, resource + ".*", "*"}
}
