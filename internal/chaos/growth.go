//go:build unix

package chaos

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// figure is one of what a sample has, and how much more of it there may be at the end than at the begin: by the line that fits
// the samples best, not by two of them.
type figure struct {
	name, unit string
	of         func(*Sample) int64
	per        float64 // of the unit
	// share of the mean, and at the least so much, it may grow by.
	share, least float64
	// floor has only the least of each minute counted: of what goes up and down with what is under way, a leak raises that.
	floor bool
}

const mebibyte = 1 << 20

// figures are those that must not grow. The collector decides when to give memory back, and the kernel when to take it: the
// heap and what is resident go up and down by a fifth without any reason.
var figures = []figure{
	{"RSS", "MiB", func(s *Sample) int64 { return s.RSS }, mebibyte, 0.1, 4, false},
	{"heap in use", "MiB", func(s *Sample) int64 { return s.Heap }, mebibyte, 0.1, 4, false},
	{"goroutines", "", func(s *Sample) int64 { return s.Goroutines }, 1, 0.1, 10, true},
	{"open files", "", func(s *Sample) int64 { return s.Files }, 1, 0.1, 10, true},
	{"store", "MiB", func(s *Sample) int64 { return s.Store }, mebibyte, 0.1, 4, false},
	{"partitions", "", func(s *Sample) int64 { return s.Partitions }, 1, 0.1, 4, false},
	{"system catalog", "MiB", func(s *Sample) int64 { return s.Catalog }, mebibyte, 0.1, 4, false},
	{"log not acknowledged", "MiB", func(s *Sample) int64 { return s.Lag }, mebibyte, 0.1, 16, true},
	{"log kept by the slot", "MiB", func(s *Sample) int64 { return s.Retained }, mebibyte, 0.1, 48, true},
	{"deliveries due", "", func(s *Sample) int64 { return s.Due }, 1, 0.1, 500, true},
}

// Growth is how a figure went over the samples that count, in its unit.
type Growth struct {
	Name, Unit             string
	Least, Mean, Most      float64
	ByLine, Bound, PerHour float64
}

// Grown says that there is more of it at the end than chance makes.
func (g *Growth) Grown() bool { return g.ByLine > g.Bound }

// growth fits a line to the samples from a time on. It is nil without at least ten of them.
func growth(samples []Sample, from time.Duration) []Growth {
	first := slices.IndexFunc(samples, func(s Sample) bool { return s.At >= from })
	if first < 0 || len(samples)-first < 10 {
		return nil
	}
	samples = samples[first:]
	var all []Growth
	for _, f := range figures {
		g := Growth{Name: f.name, Unit: f.unit, Least: math.Inf(1), Most: math.Inf(-1)}
		var n, sx, sy, sxx, sxy float64
		step := 1
		if f.floor {
			step = int(time.Minute / sampleEvery)
		}
		for i := 0; i+step <= len(samples); i += step {
			low := math.Inf(1)
			for j := range samples[i : i+step] {
				v := float64(f.of(&samples[i+j])) / f.per
				low = min(low, v)
				g.Least, g.Most = min(g.Least, v), max(g.Most, v)
			}
			x, y := samples[i].At.Hours(), low
			n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
		}
		g.Mean = sy / n
		g.PerHour = (n*sxy - sx*sy) / (n*sxx - sx*sx)
		g.ByLine = g.PerHour * (samples[len(samples)-1].At - samples[0].At).Hours()
		g.Bound = max(f.least, f.share*g.Mean)
		all = append(all, g)
	}
	return all
}

// dropped is how often the oldest partition was another one than before.
func dropped(samples []Sample) (n int) {
	for i := range samples[1:] {
		if old := samples[i].Oldest; old != "" && samples[i+1].Oldest > old {
			n++
		}
	}
	return n
}

// growthTable is what a soak shows.
func growthTable(all []Growth) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-22s %10s %10s %10s %12s %10s %10s\n", "", "least", "mean", "most", "growth", "bound", "per hour")
	for _, g := range all {
		verdict := ""
		if g.Grown() {
			verdict = "  GROWS"
		}
		name := g.Name
		if g.Unit != "" {
			name += ", " + g.Unit
		}
		fmt.Fprintf(&b, "%-22s %10.1f %10.1f %10.1f %+12.1f %10.1f %+10.1f%s\n", name, g.Least, g.Mean, g.Most, g.ByLine, g.Bound, g.PerHour, verdict)
	}
	return b.String()
}
