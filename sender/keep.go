package sender

import "github.com/rowhook/rowhook/cdc"

// keepEvent has an event stored that goes to nobody. Its price has been taken. It is called with the mutex held.
func (d *Dispatcher) keepEvent(j *Job, price int64, receipt *cdc.Receipt) {
	d.record(Record{Op: Keep, Event: j.Event, settle: func() {
		d.direct.give(price)
		d.done(receipt)
	}})
}
