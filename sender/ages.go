package sender

// ages is the list of deliveries in memory in the order of their submission: the first one's Hold is over first.
type ages struct{ first, last *delivery }

func (a *ages) add(d *delivery) {
	d.prev, d.next, d.listed = a.last, nil, true
	if a.last != nil {
		a.last.next = d
	} else {
		a.first = d
	}
	a.last = d
}

func (a *ages) remove(d *delivery) {
	if !d.listed {
		return
	}
	if d.prev != nil {
		d.prev.next = d.next
	} else {
		a.first = d.next
	}
	if d.next != nil {
		d.next.prev = d.prev
	} else {
		a.last = d.prev
	}
	d.prev, d.next, d.listed = nil, nil, false
}
