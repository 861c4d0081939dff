//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
)

// report is everything that came out, as it is written as JSON.
type report struct {
	Begun     time.Time         `json:"begun"`
	Machine   machineInfo       `json:"machine"`
	Go        string            `json:"go"`
	Postgres  string            `json:"postgres"`
	Settings  map[string]string `json:"postgres_settings"`
	Repeats   int               `json:"repeats"`
	Quick     bool              `json:"quick"`
	Scenarios []*scenarioResult `json:"scenarios"`
}

// machineInfo describes the machine; what the system does not tell is empty.
type machineInfo struct {
	System    string `json:"system"`
	Kernel    string `json:"kernel,omitempty"`
	Processor string `json:"processor,omitempty"`
	CPUs      int    `json:"cpus"`
	Memory    int64  `json:"memory_bytes,omitempty"`
}

// scenarioResult is what a scenario gave.
type scenarioResult struct {
	Name     string          `json:"name"`
	What     string          `json:"what"`
	Variants []variantResult `json:"variants"`
	Ratios   []summary       `json:"ratios"`
}

type variantResult struct {
	Name    string     `json:"name"`
	Metrics []summary  `json:"metrics"`
	Runs    []*outcome `json:"runs"`
}

// summary is a figure over the repeats.
type summary struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func summaryOf(name, unit string, values []float64) summary {
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	median := sorted[half]
	if len(sorted)%2 == 0 {
		median = (sorted[half-1] + sorted[half]) / 2
	}
	return summary{Name: name, Unit: unit, Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// summarise makes medians of the runs, and ratios of what was run in the same turn.
func summarise(s scenario, runs [][]*outcome) *scenarioResult {
	result := &scenarioResult{Name: s.Name, What: s.What, Ratios: []summary{}}
	at := map[string][]*outcome{}
	for i, v := range s.variants {
		at[v.Name] = runs[i]
		vr := variantResult{Name: v.Name, Runs: runs[i], Metrics: []summary{}}
		for _, m := range runs[i][0].order {
			vr.Metrics = append(vr.Metrics, summaryOf(m.Name, m.Unit, values(runs[i], m)))
		}
		result.Variants = append(result.Variants, vr)
	}
	for _, r := range s.ratios {
		of, to := values(at[r.of], r.metric), values(at[r.to], r.metric)
		var each []float64
		for i := range min(len(of), len(to)) {
			switch {
			case to[i] == 0: // the system does not tell it
			case r.excess:
				each = append(each, of[i]/to[i]-1)
			default:
				each = append(each, of[i]/to[i])
			}
		}
		if len(each) > 0 {
			result.Ratios = append(result.Ratios, summaryOf(r.name(), "", each))
		}
	}
	return result
}

// values are those of a metric, of the runs that have it.
func values(runs []*outcome, m metric) (list []float64) {
	for _, o := range runs {
		if v, ok := o.Values[m.Name]; ok {
			list = append(list, v)
		}
	}
	return list
}

func (b *bench) newReport(ctx context.Context) (*report, error) {
	r := &report{Begun: time.Now().UTC(), Machine: machine(), Go: runtime.Version(), Postgres: b.server.Version(),
		Settings: map[string]string{}, Repeats: b.repeats, Quick: b.quick, Scenarios: []*scenarioResult{}}
	r.Machine.System, r.Machine.CPUs = runtime.GOOS+"/"+runtime.GOARCH, runtime.NumCPU()
	conn, err := pgx.Connect(ctx, b.server.URL("postgres"))
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `select name, current_setting(name) from pg_settings where name = any($1)`, shown)
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	var name, value string
	if _, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error { r.Settings[name] = value; return nil }); err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	return r, nil
}

// head tells what is measured on.
func (r *report) head(w io.Writer) {
	fmt.Fprintf(w, "%s, %d CPUs", r.Machine.System, r.Machine.CPUs)
	if r.Machine.Processor != "" {
		fmt.Fprintf(w, " (%s), %.0f MiB, kernel %s", r.Machine.Processor, mib(r.Machine.Memory), r.Machine.Kernel)
	}
	fmt.Fprintf(w, "; %s; Postgres %s\n", r.Go, r.Postgres)
	for i, name := range shown {
		if i > 0 {
			fmt.Fprint(w, ", ")
		}
		fmt.Fprintf(w, "%s=%s", name, r.Settings[name])
	}
	fmt.Fprintf(w, "\nmedians of %d, least and most beside them\n", r.Repeats)
	if r.Quick {
		fmt.Fprintln(w, "-quick: these runs are too short for figures")
	}
}

// print writes a scenario as a table.
func (s *scenarioResult) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s: %s\n", s.Name, s.What)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "median\tmin\tmax\t\t\n")
	row := func(m summary, of string) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t  %s: %s\n", number(m.Median), number(m.Min), number(m.Max), m.Unit, of, m.Name)
	}
	for _, v := range s.Variants {
		for _, m := range v.Metrics {
			row(m, v.Name)
		}
	}
	for _, m := range s.Ratios {
		row(m, "ratio")
	}
	_ = w.Flush()
	for _, v := range s.Variants {
		var expected, lost, doubled, disordered int64
		for _, o := range v.Runs {
			expected, lost, doubled, disordered = expected+o.Expected, lost+o.Lost, doubled+o.Doubled, disordered+o.Disordered
		}
		if expected > 0 {
			fmt.Fprintf(out, "%s: of %d events %d lost, %d doubled, %d out of order\n", v.Name, expected, lost, doubled, disordered)
		}
	}
}

// number shows four digits at least, and no more behind the point than they need.
func number(v float64) string {
	switch abs := max(v, -v); {
	case abs >= 1000 || v == float64(int64(v)):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case abs >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// save writes the report to a file, whole.
func (r *report) save(file string) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".part", append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return os.Rename(file+".part", file)
}

// verdict is an error if rowhook lost, doubled or disordered anything: nothing was killed, so it should not.
func (r *report) verdict() error {
	var wrong []error
	for _, s := range r.Scenarios {
		for _, v := range s.Variants {
			for i, o := range v.Runs {
				if o.Lost != 0 || o.Doubled != 0 || o.Disordered != 0 {
					wrong = append(wrong, fmt.Errorf("%s, %s, run %d: %d lost, %d doubled, %d out of order", s.Name, v.Name, i+1, o.Lost, o.Doubled, o.Disordered))
				}
			}
		}
	}
	return errors.Join(wrong...)
}
