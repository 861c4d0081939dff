package mapping

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkFilter is what an event costs that so many filters are asked about.
func BenchmarkFilter(b *testing.B) {
	ev := &Event{Type: "deal.update", Previous: []byte(`{"status":"lead"}`),
		Data: []byte(`{"id":42,"type":"deal","title":"Lenses for the north","status":"won","amount":"1200.50","currency":"EUR","tags":["vip","new"],` +
			`"company":{"id":7,"name":"Lumen Optics"},"created_at":"2026-11-22T01:02:03.5Z","updated_at":"2026-11-22T01:02:03.5Z"}`)}
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := NewFilters()
			texts := make([]string, n)
			for i := range texts {
				texts[i] = fmt.Sprintf(`data.status == "won" && "status" in previous && data.id != %d`, i+100)
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, text := range texts {
					if got, err := f.Ask(text, ev); got != Wanted {
						b.Fatal(got, err)
					}
				}
				f.Done()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/filter")
		})
	}
}

// BenchmarkCompileFilter is what a filter costs that is not kept.
func BenchmarkCompileFilter(b *testing.B) {
	for name, text := range map[string]string{"short": `data.status == "won" && "status" in previous`,
		"long": strings.TrimSuffix(strings.Repeat(`data.status == "won" && `, 150), "&& ")} {
		b.Run(name, func(b *testing.B) {
			e := newFilterEvaluator()
			b.ReportAllocs()
			for b.Loop() {
				if _, mistake := e.compileFilter(text, nil); mistake != nil {
					b.Fatal(mistake)
				}
			}
		})
	}
}
