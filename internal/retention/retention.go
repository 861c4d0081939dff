//go:build !soak

package retention

import "time"

const (
	// Partition is of how long a time one partition holds what was committed.
	Partition = 24 * time.Hour
	// Layout is how the begin of a partition stands in its name.
	Layout = "20060102"
	// Every is how often old partitions are looked for; not before First, when a late stream has begun to tell which of them
	// it still needs.
	First = time.Minute
	Every = 10 * time.Minute
	// Shortest is the least that retention.for may be.
	Shortest = time.Hour
)
