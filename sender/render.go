package sender

import (
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender/internal/http1"
	"github.com/rowhook/rowhook/subscriptions"
)

const (
	// renderedFree is how large a body may be that is not charged, in bytes: so much is reckoned for each slot anyway.
	renderedFree = http1.BodyMax
	// renderedShare is which part of the memory all others may take that are made for their attempts.
	renderedShare = 4
	// thinSize is room for a body that leaves out the representation.
	thinSize = 1 << 10
)

// bodySize is about how large the JSON of a body is.
func bodySize(format string, ev *mapping.Event) int {
	if format == subscriptions.FormatThin && ev.Resource != mapping.NoticeResource {
		return thinSize
	}
	return ev.Size() + standardOverhead
}

// renders is what a body is charged for that is made for its attempt; 0 for a small one. What a form comes to is known when it
// is made: until then it is the most that it may be.
func (s *subscription) renders(ev *mapping.Event) int64 {
	if s.batch != nil {
		return chargeOf(s.batch.size)
	}
	r := s.sub.Request
	if r == nil {
		return 0
	}
	n := bodySize(r.Format, ev) + len(r.CustomData)
	if r.IsForm() {
		n += formBound(n)
	}
	return chargeOf(n)
}

func chargeOf(size int) int64 {
	if size <= renderedFree {
		return 0
	}
	return int64(size)
}

// roomToRender says whether the body of what is next may be made: it is shared as slots are, so that a target that hangs does not
// have all of it. One that is larger than all is made alone.
func (d *Dispatcher) roomToRender(s *subscription) bool {
	if s.sub.Request == nil && s.batch == nil {
		return true
	}
	q := &s.fresh
	if q.len() == 0 {
		q = &s.due
	}
	n := s.renders(q.peek().event)
	if n == 0 || d.rendered == 0 {
		return true
	}
	left := d.cfg.Memory/renderedShare - d.rendered
	return n <= left && (s.rendered == 0 || s.rendered+n <= left)
}

// charge makes what a delivery is charged for its body so much. It is called with the mutex held.
func (d *Dispatcher) charge(dl *delivery, n int64) {
	d.rendered += n - dl.rendered
	dl.lane.sub.rendered += n - dl.rendered
	dl.rendered = n
}

// composed gives back what a form was charged for and does not take.
func (d *Dispatcher) composed(dl *delivery, size int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := chargeOf(size); n < dl.rendered {
		d.charge(dl, n)
		d.launch(d.schedule())
	}
}
