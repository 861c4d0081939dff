//go:build unix

package chaos

import (
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"
	"time"
)

// TestSoak is for make soak.
func TestSoak(t *testing.T) {
	text := os.Getenv("SOAK")
	if text == "" {
		t.Skip("make soak runs it: it takes half an hour")
	}
	length, err := time.ParseDuration(text)
	if err != nil || length < 10*time.Minute {
		t.Fatalf("SOAK is %q: give a duration of 10m or more, since what is kept has to be dropped some times", text)
	}
	dir := t.TempDir()
	program, err := Build(context.Background(), dir, "-tags", "soak")
	if err != nil {
		t.Fatal(err)
	}
	const retention = 3 * time.Minute
	o := Options{
		Program: program, Dir: dir, Log: t.Logf, Seed: 1, Soak: length, Retention: retention,
		Rate: number(t, "SOAK_RATE", 25), Writers: 4, Keys: 400, Bulk: 200,
	}
	rep, err := Run(t.Context(), o)
	if file := os.Getenv("SOAK_CSV"); file != "" && rep != nil {
		if err := writeSamples(file, rep.Samples); err != nil {
			t.Error(err)
		}
		t.Logf("samples: %s", file)
	}
	t.Logf("\n%s", rep)
	if err != nil {
		keepLog(t, o)
		t.Fatal(err)
	}
	// Until the retention has dropped what was there first, and its pages have been used again, the store grows.
	warm := max(2*retention, length/4)
	all := growth(rep.Samples, warm)
	t.Logf("from %s to %s, by the line that fits best:\n%s", warm, length, growthTable(all))
	t.Logf("partitions were dropped at %d of the looks", dropped(rep.Samples))
	if all == nil {
		t.Fatalf("%d samples are too few", len(rep.Samples))
	}
	for _, g := range all {
		if g.Grown() {
			t.Errorf("%s grows: by %.1f %s, with a bound of %.1f", g.Name, g.ByLine, g.Unit, g.Bound)
		}
	}
	if n := dropped(rep.Samples); n < 3 {
		t.Errorf("partitions were dropped %d times: the size of the store says nothing", n)
	}
	if rep.Wrong > 0 || rep.Lost > 0 {
		t.Errorf("%d were lost, %d promises were broken", rep.Lost, rep.Wrong)
	}
	if t.Failed() {
		keepLog(t, o)
	}
}

func writeSamples(name string, samples []Sample) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	w := csv.NewWriter(file)
	head := []string{"seconds", "delivered"}
	for _, f := range figures {
		head = append(head, f.name)
	}
	if err := w.Write(head); err != nil {
		return err
	}
	for i := range samples {
		s := &samples[i]
		line := []string{fmt.Sprintf("%.0f", s.At.Seconds()), strconv.FormatInt(s.Delivered, 10)}
		for _, f := range figures {
			line = append(line, strconv.FormatInt(f.of(s), 10))
		}
		if err := w.Write(line); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// TestGrowth judges series that were made: a saw tooth with noise is flat, and the same with a leak is not.
func TestGrowth(t *testing.T) {
	t.Parallel()
	made := func(change func(n int, s *Sample)) []Sample {
		var all []Sample
		for n := range 180 {
			tooth := int64(n % 6)
			s := Sample{At: time.Duration(n) * sampleEvery, Heap: 20 << 20, RSS: 60<<20 + int64(8*math.Sin(float64(n))*mebibyte),
				Goroutines: 60 + int64(n*7%5)*100, Files: 40 + int64(n*3%5)*100, Store: 100<<20 + tooth*4<<20, Partitions: 16 - 4*(tooth/5), Oldest: fmt.Sprintf("event_%04d", n/6), Catalog: 12 << 20}
			change(n, &s)
			all = append(all, s)
		}
		return all
	}
	for name, c := range map[string]struct {
		change func(n int, s *Sample)
		grows  string
	}{
		"Flat":              {func(int, *Sample) {}, ""},
		"WarmUpDoesNot":     {func(n int, s *Sample) { s.Store -= max(0, 40-int64(n)) << 20 }, ""},
		"MemoryLeaks":       {func(n int, s *Sample) { s.RSS += int64(n) * 64 << 10 }, "RSS"},
		"GoroutinesLeak":    {func(n int, s *Sample) { s.Goroutines += int64(n) / 9 }, "goroutines"},
		"FilesLeak":         {func(n int, s *Sample) { s.Files += int64(n) / 9 }, "open files"},
		"NothingIsDropped":  {func(n int, s *Sample) { s.Store += int64(n) << 18 }, "store"},
		"SlotIsHeld":        {func(n int, s *Sample) { s.Retained += int64(n) << 20 }, "log kept by the slot"},
		"PartitionsAreLeft": {func(n int, s *Sample) { s.Partitions += int64(n) / 20 }, "partitions"},
		"CatalogIsBloated":  {func(n int, s *Sample) { s.Catalog += int64(n) << 16 }, "system catalog"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			samples, got := made(c.change), ""
			for _, g := range growth(samples, 450*time.Second) {
				if g.Grown() {
					got += g.Name
				}
			}
			if got != c.grows {
				t.Errorf("%q is said to grow, want %q", got, c.grows)
			}
			if dropped(samples) < 20 {
				t.Errorf("partitions were dropped %d times", dropped(samples))
			}
		})
	}
	if growth(made(func(int, *Sample) {})[:12], 60*time.Second) != nil {
		t.Error("six samples are said to tell something")
	}
}
