//go:build unix

package main

import "slices"

// quantiles are those of latencies, in microseconds.
type quantiles struct {
	Count    int
	P50, P99 float64
}

func quantilesOf(us []int32) quantiles {
	if len(us) == 0 {
		return quantiles{}
	}
	slices.Sort(us)
	return quantiles{Count: len(us), P50: percentile(us, 50), P99: percentile(us, 99)}
}

// percentile is the smallest of the sorted values that p in a hundred do not exceed.
func percentile(sorted []int32, p int) float64 {
	return float64(sorted[max((len(sorted)*p+99)/100-1, 0)])
}
