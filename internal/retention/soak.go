//go:build soak

package retention

import "time"

// As in retention.go, for make soak.
const (
	Partition = time.Minute
	Layout    = "20060102t150405"
	First     = 5 * time.Second
	Every     = 10 * time.Second
	Shortest  = time.Minute
)
