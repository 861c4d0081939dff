// Package hooktest is a receiver of webhooks with a failure script, for tests and the demo: a real HTTP server that
// records every request and answers it as it is told, well or badly.
//
//	r := hooktest.New(t, hooktest.Sequence(hooktest.Status(503), hooktest.OK()))
//	… have something sent to r.URL("/hooks") …
//	requests := r.Wait(t, 2, 10*time.Second)
//	err := requests[1].Verify(secret)
//
// A [Script] decides the [Answer] to each request. It is asked in the order of arrival, which is the order of
// [Receiver.Requests] too: a request is recorded before it is answered, and with what it will be answered. Nothing that
// arrived is dropped or merged, unless [Options.Keep] bounds it. Waiting is woken by arrivals and always has a deadline.
//
// Signatures are checked with the library of Standard Webhooks, not with our own code.
package hooktest
