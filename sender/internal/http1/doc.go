// Package http1 sends small bodies to hosts that speak HTTP/1.1: with one write, and with no goroutine but the one that
// asks for it. What it does not take over (larger bodies, HTTP/2, hosts of which nothing is known, unusual URLs) it says
// so of, and it is for another client.
//
// Answers are parsed by net/http, but for the heads of successes in their plainest form, which are read in place; about
// those the two agree. A connection is used again only when its answer was read to the end, nothing came after it, and
// nothing has come since.
package http1
