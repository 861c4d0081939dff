package mapping

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/cdc"
)

// TestTrialEnds: whatever a mapping that is tried computes, it ends soon, with a reason. Each of these takes many times as long, or as
// much memory, without a Trial: the test would not end.
func TestTrialEnds(t *testing.T) {
	t.Parallel()
	many := func(expression string) string {
		var b strings.Builder
		b.WriteString("representation:\n")
		for i := range 300 {
			fmt.Fprintf(&b, "  a%d: '%s'\n", i, expression)
		}
		return b.String()
	}
	const tooLong, tooLarge = "take too long to be tried here", "too large to be tried here"
	for name, c := range map[string]struct{ mapping, want string }{
		"Pattern":        {many(`${count(1..5000, name matches "(a|b)*x$")}`), tooLong},
		"MadePattern":    {many(`${count(1..5000, name matches ("(a|b)*x$" + string(#)))}`), tooLong},
		"LargePattern":   {many(`${name matches "(a{1000}b{1000}){1,1}"}`), tooLarge},
		"ManyPatterns":   {many(`${name matches "a{500}"}`), tooLarge},
		"LargeMade":      {many(`${name matches ("a{1000}b{1000}" + string(id))}`), tooLong},
		"Loops":          {many(`${count(1..300, count(1..300, # > 3) > 0)}`), tooLong},
		"Reduce":         {many(`${reduce(1..100000, #acc + #)}`), tooLong},
		"Unique":         {many(`${len(uniq(1..100000))}`), tooLong},
		"Sort":           {many(`${len(sort(1..100000))}`), tooLong},
		"Groups":         {many(`${len(groupBy(1..100000, #))}`), tooLong},
		"Split":          {many(`${len(split(name + repeat("x", 200000), ""))}`), tooLong},
		"JSON":           {many(`${len(toJSON(doc)) + len(fromJSON(toJSON(doc)))}`), tooLong},
		"Digits":         {many(`${(amount * amount * amount * amount) == 1}`), tooLong},
		"Power":          {many(`${count(1..1000, (amount ** 3) > #)}`), tooLong},
		"Zone":           {many(`${count(1..5000, timezone("Europe/Berlin") == null)}`), tooLong},
		"DateInZone":     {many(`${count(1..5000, date("2026-01-02", "2006-01-02", "Europe/Berlin") == null)}`), tooLong},
		"Column":         {many(`${name}`), ""},
		"LongColumn":     {many(`${long}`), "makes more than 8 MiB"},
		"LongTemplate":   {"representation:\n  a: '" + strings.Repeat("${long}", 2000) + "'\n", "makes more than 8 MiB"},
		"Text":           {many(`${repeat("x", 900000)}`), "makes more than 8 MiB"},
		"TextInTemplate": {"representation:\n  a: '" + strings.Repeat(`${repeat("x", 900000)}`, 2000) + "'\n", "makes more than 8 MiB"},
		"Where":          {"columns: all\nwhere: count(1..100000, name matches \"(a|b)*x$\") > 0\n", tooLong},
		"Event":          {"columns: all\nevents:\n  thing.slow: 'count(1..100000, name matches \"(a|b)*x$\") > 0'\n", tooLong},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tables, relations := loadTables(t, "public.things: {key: [id], columns: {id: int8 not null, name: text, long: text, doc: jsonb, amount: numeric}}\n")
			cfg := loadConfig(t, "thing:\n  table: public.things\n  "+strings.ReplaceAll(strings.TrimSuffix(c.mapping, "\n"), "\n", "\n  ")+"\n")
			d, problems := Parse(cfg)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			m, problems := d.CompileTrial(tables, "", &Trial{steps: trialSteps / 4, patterns: trialPatterns})
			if c.want == tooLarge {
				if len(problems) == 0 || !strings.Contains(problems.Error(), c.want) {
					t.Errorf("%.200s", problems.Error())
				}
				return
			}
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			var row cdc.Row
			for _, v := range []string{"1", strings.Repeat("ab", 1000), strings.Repeat("l", 1<<20), `{"a":[` + strings.Repeat("1,", 100_000) + `1]}`, strings.Repeat("9", 30_000)} {
				row = append(row, cdc.Value{Kind: cdc.Text, Data: []byte(v)})
			}
			_, dead := m.Map(nil, nil, 1, &cdc.Change{Op: cdc.Insert, Relation: relations["public.things"], Tx: &cdc.Tx{}, New: row})
			switch {
			case c.want == "" && len(dead) > 0:
				t.Error(dead[0].Reason)
			case c.want != "" && (len(dead) != 1 || !strings.Contains(dead[0].Reason, c.want)):
				t.Errorf("%+v", dead)
			}
		})
	}
}
