package subscriptions

// names gives texts that repeat (accounts, event names) small numbers, so that the Index's keys are 8 bytes wide. A
// number is free again when nobody uses its text.
type names struct {
	numbers map[string]name
	free    []uint32
	last    uint32
}

type name struct{ number, uses uint32 }

// acquire returns the text's number, from 1, and counts one more use.
func (n *names) acquire(text string) uint32 {
	e, ok := n.numbers[text]
	switch {
	case ok:
	case len(n.free) > 0:
		e.number = n.free[len(n.free)-1]
		n.free = n.free[:len(n.free)-1]
	default:
		n.last++
		e.number = n.last
	}
	e.uses++
	if n.numbers == nil {
		n.numbers = map[string]name{}
	}
	n.numbers[text] = e
	return e.number
}

// release undoes one acquire.
func (n *names) release(text string) {
	e, ok := n.numbers[text]
	if !ok {
		return
	}
	if e.uses--; e.uses == 0 {
		delete(n.numbers, text)
		n.free = append(n.free, e.number)
		return
	}
	n.numbers[text] = e
}

// find returns the number of a text that is in use.
func (n *names) find(text string) (uint32, bool) {
	e, ok := n.numbers[text]
	return e.number, ok
}
