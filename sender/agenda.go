package sender

import "container/heap"

// agenda holds the subscriptions whose rows are to be looked for at some time, the first one first: those that are neither
// held nor have as many rows in memory as are wanted.
type agenda []*subscription

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].lookAt().Before(a[j].lookAt()) }

func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = i+1, j+1
}

// Push implements heap.Interface.
func (a *agenda) Push(x any) {
	s := x.(*subscription)
	*a = append(*a, s)
	s.place = len(*a)
}

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	s := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	s.place = 0
	return s
}

func (a *agenda) remove(s *subscription) {
	if s.place > 0 {
		heap.Remove(a, s.place-1)
	}
}

// enter puts a subscription where it belongs in the agenda, or takes it out.
func (d *Dispatcher) enter(s *subscription) {
	switch {
	case s.nextDue.IsZero() || s.held || s.removed || s.due.len() >= s.wanted():
		d.agenda.remove(s)
	case s.place > 0:
		heap.Fix(&d.agenda, s.place-1)
	default:
		heap.Push(&d.agenda, s)
	}
}
