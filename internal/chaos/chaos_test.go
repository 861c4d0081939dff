//go:build unix

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// program is rowhook, built once. CHAOS_PROGRAM names one that is there.
var program struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if program.dir != "" {
		_ = os.RemoveAll(program.dir)
	}
	os.Exit(code)
}

func built(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("CHAOS_PROGRAM"); path != "" {
		return path
	}
	program.once.Do(func() {
		if program.dir, program.err = os.MkdirTemp("", "rowhook-chaos-"); program.err == nil {
			// The first test's end must not end it for the others.
			var flags []string
			if os.Getenv("CHAOS_RACE") != "" {
				flags = []string{"-race"}
			}
			program.path, program.err = Build(context.Background(), program.dir, flags...)
		}
	})
	if program.err != nil {
		t.Fatal(program.err)
	}
	return program.path
}

// number reads a setting of a long run from the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s is %q: give a number", name, text)
	}
	return n
}

// breakIt runs with the options, prints the figures, and fails for every promise that was not kept.
func breakIt(t *testing.T, o Options) *Report {
	t.Helper()
	o.Program, o.Dir, o.Log = built(t), t.TempDir(), t.Logf
	o.Seed = uint64(number(t, "CHAOS_SEED", int(time.Now().UnixNano()&(1<<40-1))))
	t.Logf("CHAOS_SEED=%d plays the schedule again", o.Seed)
	rep, err := Run(t.Context(), o)
	t.Logf("\n%s", rep)
	if err != nil {
		t.Error(err)
	}
	if rep.Wrong > 0 {
		t.Errorf("%d promises were broken", rep.Wrong)
	}
	if n := rep.Repeats(stopped); n > 0 {
		t.Errorf("%d events came again after a clean stop", n)
	}
	// With a standby, a restart of Postgres can hand the slot to the other process.
	if n := rep.Repeats(crashed); n > 0 && !o.Standby {
		t.Errorf("%d events came again after a restart of Postgres", n)
	}
	if t.Failed() {
		keepLog(t, o)
	}
	return rep
}

// keepLog saves what rowhook said, for a failure that is hard to repeat.
func keepLog(t *testing.T, o Options) {
	text, err := os.ReadFile(filepath.Join(o.Dir, "rowhook.log"))
	if err != nil {
		return
	}
	kept := filepath.Join(os.TempDir(), fmt.Sprintf("rowhook-chaos-%d.log", o.Seed))
	if os.WriteFile(kept, text, 0o600) == nil {
		t.Logf("rowhook's log: %s", kept)
	}
}

// TestChaos is a short run of everything: make chaos is the long one.
func TestChaos(t *testing.T) {
	t.Parallel()
	breakIt(t, Options{Rate: 60, Writers: 4, Keys: 150, Bulk: 400, Kills: 4, Stops: 1, Restarts: 2, Freezes: 1, Changes: 5, Gap: 400 * time.Millisecond})
}

// TestChaosStoreApart takes the store away, which is in a cluster of its own.
func TestChaosStoreApart(t *testing.T) {
	t.Parallel()
	breakIt(t, Options{Rate: 30, Writers: 2, Keys: 100, Kills: 1, Outages: 2, Changes: 1, OwnStore: true, Gap: 400 * time.Millisecond})
}

// TestChaosStandby lets a second rowhook take over, with a store that a later release has brought further meanwhile.
func TestChaosStandby(t *testing.T) {
	t.Parallel()
	breakIt(t, Options{Rate: 30, Writers: 2, Keys: 100, Kills: 2, Restarts: 1, Changes: 1, Standby: true, Further: further(t), Gap: 800 * time.Millisecond})
}

// TestChaosLong is the acceptance run, for make chaos.
func TestChaosLong(t *testing.T) {
	if os.Getenv("CHAOS_LONG") == "" {
		t.Skip("make chaos runs it: it takes a quarter of an hour")
	}
	o := Options{
		Rate: number(t, "CHAOS_RATE", 220), Writers: 8, Keys: 400, Bulk: number(t, "CHAOS_BULK", 3000),
		Kills: number(t, "CHAOS_KILLS", 100), Restarts: number(t, "CHAOS_RESTARTS", 20), Stops: number(t, "CHAOS_STOPS", 15),
		Freezes: number(t, "CHAOS_FREEZES", 15), Changes: number(t, "CHAOS_CHANGES", 25), Outages: number(t, "CHAOS_OUTAGES", 0),
		Standby: os.Getenv("CHAOS_STANDBY") != "",
	}
	o.OwnStore = o.Outages > 0
	actions := o.Kills + o.Restarts + o.Stops + o.Freezes + o.Changes + o.Outages
	// The pauses are even between nothing and the gap.
	o.Gap = 2 * time.Duration(number(t, "CHAOS_SECONDS", 400)) * time.Second / time.Duration(max(1, actions))
	rep := breakIt(t, o)
	// Both depend on the machine: a short run on one that stalls for a second says nothing of them.
	if n := rep.Beyond(); n > 0 {
		t.Errorf("after %d kills more came again than was in flight", n)
	}
	if rep.TooLate > rep.Requests/100 {
		t.Errorf("%d of %d requests are said to have been answered too late", rep.TooLate, rep.Requests)
	}
}
