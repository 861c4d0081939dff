//go:build unix

package main

import (
	"sync"
	"time"
)

// used is the processor time that was used up to some moment.
type used struct{ sut, receiver, postgres time.Duration }

// sample reads the processor time of the system under test, which may be nil, of the receiver and of all of Postgres.
func (b *bench) sample(s sut) (u used) {
	if s != nil {
		u.sut = processorTime(s.pid(), false)
	}
	u.receiver = processorTime(b.receiver.pid(), false)
	for _, server := range b.servers() {
		// Backends that ended are in the postmaster's account.
		u.postgres += processorTime(server.Pid(), true)
		for _, backend := range childrenOf(server.Pid()) {
			u.postgres += processorTime(backend, false)
		}
	}
	return u
}

// memoryEvery is how often the memory of Postgres is looked at.
const memoryEvery = 200 * time.Millisecond

// watchMemory looks at the memory of all of Postgres' processes that is their own, without shared buffers, until the
// function it returns is called, which returns the most that there was, in bytes.
func (b *bench) watchMemory() func() int64 {
	var most int64
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(memoryEvery)
		defer tick.Stop()
		for {
			var sum int64
			for _, server := range b.servers() {
				for _, backend := range childrenOf(server.Pid()) {
					sum += memoryOf(backend, "RssAnon")
				}
			}
			most = max(most, sum)
			select {
			case <-end:
				return
			case <-tick.C:
			}
		}
	})
	return func() int64 { close(end); wg.Wait(); return most }
}

// perEvent writes the processor time per event, in microseconds, and the peaks of memory, in MiB.
func (r *outcome) perEvent(s sut, from, to used, events int64, postgresMemory int64) {
	if !usageKnown || events <= 0 {
		return
	}
	us := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(events) }
	if s != nil {
		r.set(cpuPerEvent, us(to.sut-from.sut))
		r.set(peakRSS, mib(memoryOf(s.pid(), "VmHWM")))
		r.set(receiverCPU, us(to.receiver-from.receiver))
	}
	r.set(postgresCPU, us(to.postgres-from.postgres))
	r.set(postgresPrivate, mib(postgresMemory))
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
