package app

import (
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/sender"
)

// TestClockFinding: a clock that is off is told with its direction, and as an error from where on receivers refuse what is signed. What
// the way to the server could explain is not told.
func TestClockFinding(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		offset, trip time.Duration
		severity     string
		what, so     string
	}{
		{offset: 4 * time.Second},
		{offset: 8 * time.Second, trip: 10 * time.Second},
		{20 * time.Second, 0, client.SeverityWarning, "clock is 20s behind that of the database", "up to 5 minutes off"},
		{-20 * time.Second, 0, client.SeverityWarning, "clock is 20s ahead of that of the database", "up to 5 minutes off"},
		{6 * time.Minute, 0, client.SeverityError, "clock is 6m0s behind", "receivers refuse every hook"},
		{-time.Hour, 0, client.SeverityError, "clock is 1h0m0s ahead of", "receivers refuse every hook"},
	} {
		var f findingList
		(&App{}).clockFindings(&f, c.offset, c.trip)
		if c.severity == "" {
			if len(f.all) > 0 {
				t.Errorf("%s with a trip of %s: %+v", c.offset, c.trip, f.all)
			}
			continue
		}
		if len(f.all) != 1 || f.all[0].Severity != c.severity || f.all[0].Code != codeClock || !strings.Contains(f.all[0].What, c.what) || !strings.Contains(f.all[0].So, c.so) ||
			!strings.Contains(f.all[0].Mend, "NTP") {
			t.Errorf("%s: %+v", c.offset, f.all)
		}
	}
}

// TestServerFindings: an old release of Postgres, and each state of a slot and standbys that somebody should know of.
func TestServerFindings(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for _, c := range []struct {
		version        int
		lag            cdc.Lag
		code, severity string
	}{
		{version: 150018},
		{version: 150013, code: cdc.OldMinorCode, severity: client.SeverityWarning},
		{version: 150018, lag: cdc.Lag{HasStandby: true, Standbys: []string{"s1"}}},
		{version: 170006, lag: cdc.Lag{Failover: &no}},
		{version: 170006, lag: cdc.Lag{Failover: &no, HasStandby: true}, code: cdc.SlotNotOnStandbys, severity: client.SeverityInfo},
		{version: 170006, lag: cdc.Lag{Failover: &yes}},
		{version: 170006, lag: cdc.Lag{Failover: &yes, HasStandby: true}, code: cdc.FailoverUnguarded, severity: client.SeverityWarning},
		{version: 170006, lag: cdc.Lag{Failover: &yes, HasStandby: true, Standbys: []string{"s1"}, WaitedFor: []string{"s1"}}},
		{version: 170006, lag: cdc.Lag{Failover: &yes, HasStandby: true, Standbys: []string{"s1"}, WaitedFor: []string{"s1", "s2"}}, code: cdc.StandbyAway, severity: client.SeverityWarning},
	} {
		var f findingList
		serverFindings(&f, &cdc.Catalog{ServerVersion: c.version}, c.lag, "rowhook")
		switch {
		case c.code == "" && len(f.all) > 0, c.code != "" && (len(f.all) != 1 || f.all[0].Code != c.code || f.all[0].Severity != c.severity):
			t.Errorf("%d, %+v: got %+v", c.version, c.lag, f.all)
		}
	}
}

// TestBySQLState: the server's reason decides what is to be done.
func TestBySQLState(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"write: ERROR: could not extend file: No space left on device (SQLSTATE 53100)":     codeDiskFull,
		"write: ERROR: cannot execute INSERT in a read-only transaction (SQLSTATE 25006)":   codeReadOnly,
		"connect: FATAL: sorry, too many clients already (SQLSTATE 53300)":                  codeStore,
		"connect to the store at db:5432/crm: connection refused":                           codeStore,
		"write: ERROR: canceling statement due to statement timeout (SQLSTATE 57014) 53100": codeStore,
	} {
		if code, mend := bySQLState(codeStore, text, "as it was"); code != want || (mend == "as it was") != (want == codeStore && !strings.Contains(text, "53300")) {
			t.Errorf("%s: %s, %s", text, code, mend)
		}
	}
}

// TestAllTargetsFinding: that all targets take nothing is told of those that there are; who only reads a feed is none of them.
func TestAllTargetsFinding(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		active, targets, failing int
		want                     bool
	}{{3, 3, 3, true}, {9, 3, 3, true}, {4, 4, 3, false}, {2, 2, 2, false}} {
		found := &contents{Counts: &store.Counts{States: map[string]int{"active": c.active}, FeedOnly: c.active - c.targets, Targets: c.targets, Failing: c.failing}}
		for range c.failing {
			found.failing = append(found.failing, store.FailingTarget{TargetHost: "hooks.example.com", Since: time.Now()})
		}
		var f findingList
		(&App{}).targetFindings(&f, &client.Status{}, found)
		told := len(f.all) > 0 && f.all[0].Code == codeAllTargets && strings.Contains(f.all[0].Mend, "curl -v https://hooks.example.com/")
		if told != c.want || f.wrong() != c.want {
			t.Errorf("%+v: %+v", c, f.all)
		}
	}
}

// TestSlowFindings: who takes long and has more waiting is slow; who fails, asked for time, or only has a burst behind it, is not.
func TestSlowFindings(t *testing.T) {
	t.Parallel()
	s := &client.Status{Failing: []client.StatusFailing{{ID: "sub_failing"}}}
	var f findingList
	slowFindings(&f, s, []sender.Laggard{
		{ID: "sub_slow", Waiting: 2, Took: 1200 * time.Millisecond}, {ID: "sub_many", Waiting: 1000, Took: 300 * time.Millisecond},
		{ID: "sub_failing", Waiting: 5000, Took: 3 * time.Second}, {ID: "sub_paused", Waiting: 5000, Took: 3 * time.Second, Paused: true},
		{ID: "sub_burst", Waiting: 999, Took: time.Millisecond}, {ID: "sub_few", Waiting: 2, Took: 900 * time.Millisecond},
	})
	var told string
	for _, x := range f.all {
		told += x.Code + " " + x.What + " / " + x.Mend + "\n"
	}
	if len(f.all) != 2 || !strings.Contains(told, "target_slow the target of sub_slow is slower than its events come: an attempt takes 1.2s, and 2 deliveries wait") ||
		!strings.Contains(told, "rowhook subscription update sub_many --max-in-flight N") {
		t.Errorf("%s", told)
	}
}

// TestSlotDangerFinding: log that the server is about to remove is told at once, with what keeps it.
func TestSlotDangerFinding(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]bool{"reserved": false, "extended": false, "unreserved": true} {
		a := &App{cfg: &config.Config{}}
		a.cfg.Database.Slot = "rowhook"
		a.live.Store(a.cfg)
		var f findingList
		a.walFindings(&f, cdc.Status{Lag: cdc.Lag{At: time.Now(), Bounded: true, Safe: -1, WALStatus: status}})
		if told := len(f.all) == 1 && f.all[0].Code == codeSlotDanger && f.all[0].Severity == client.SeverityError && strings.Contains(f.all[0].What, "log that the slot rowhook needs") &&
			strings.Contains(f.all[0].Mend, "max_slot_wal_keep_size = -1"); told != want || !want && len(f.all) > 0 {
			t.Errorf("%s: %+v", status, f.all)
		}
	}
}

// TestRing: rates and steps are differences of the counters, and quantiles are within the bounds of what was observed.
func TestRing(t *testing.T) {
	t.Parallel()
	h := func(counts ...uint64) cumulative {
		return cumulative{bounds: []float64{0.001, 0.01, 0.1}, counts: counts, count: counts[len(counts)-1]}
	}
	d := h(10, 60, 110).since(h(10, 10, 10))
	if p := d.quantile(0.5); p == nil || *p < 0.001 || *p > 0.01001 {
		t.Errorf("the median of %v is %v", d, p)
	}
	if p := d.quantile(0.99); p == nil || *p < 0.09 || *p > 0.1 {
		t.Errorf("the 99th percentile of %v is %v", d, p)
	}
	if p := h(3, 3, 3).since(h(3, 3, 3)).quantile(0.5); p != nil {
		t.Errorf("of nothing it is %v", *p)
	}
	m := newMetrics(&App{})
	r := newRing(m, func() int64 { return 42 })
	begin := r.readings[0].at
	m.changesTotal.Add(20)
	m.attemptsTotal.WithLabelValues(resultDelivered).Add(10)
	m.attemptsTotal.WithLabelValues("timeout").Add(5)
	m.attemptsTotal.WithLabelValues(resultRetryAfter).Add(3)
	r.take(begin.Add(stepEvery))
	m.changesTotal.Add(10)
	steps, rates := r.series(begin.Add(15 * time.Second))
	if len(steps) != 1 || steps[0].Changes != 20 || steps[0].Delivered != 10 || steps[0].Failed != 5 || steps[0].LagBytes != 42 || steps[0].P50 != nil {
		t.Errorf("the steps are %+v", steps)
	}
	if rates.WindowSeconds != 15 || rates.ChangesPerSecond != 2 || rates.FailuresPerSecond != 0.333 {
		t.Errorf("the rates are %+v", rates)
	}
	for i := range 3 * ringSteps {
		r.take(begin.Add(time.Duration(i+2) * stepEvery))
	}
	if steps, _ = r.series(begin); len(steps) != ringSteps-1 {
		t.Errorf("%d steps are kept", len(steps))
	}
}
