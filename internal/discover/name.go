package discover

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// Display is a table's name, with its schema where that is not public.
func Display(t cdc.TableName) string {
	if t.Schema == "public" {
		return t.Name
	}
	return t.String()
}

// Choose picks the named tables: contacts, or crm.contacts. The error names all that are not there.
func Choose(tables []Table, only []string) ([]Table, error) {
	var all []string
	for _, t := range tables {
		all = append(all, Display(t.TableName))
	}
	var chosen []Table
	var unknown []string
	for _, want := range only {
		found := false
		for _, t := range tables {
			if want == t.Name || want == t.TableName.String() {
				found = true
				if !slices.ContainsFunc(chosen, func(c Table) bool { return c.TableName == t.TableName }) {
					chosen = append(chosen, t)
				}
			}
		}
		if !found {
			unknown = append(unknown, fmt.Sprintf("there is no table %q%s", want, hint(want, all)))
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(unknown, "\n"))
	}
	return chosen, nil
}

// InSchemas picks the tables of the named schemas. The error names all that have none.
func InSchemas(tables []Table, only []string) ([]Table, error) {
	var all []string
	for _, t := range tables {
		if !slices.Contains(all, t.Schema) {
			all = append(all, t.Schema)
		}
	}
	var unknown []string
	for _, want := range only {
		if !slices.Contains(all, want) {
			unknown = append(unknown, fmt.Sprintf("no table is in a schema %q%s", want, hint(want, all)))
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(unknown, "\n"))
	}
	return slices.DeleteFunc(slices.Clone(tables), func(t Table) bool { return !slices.Contains(only, t.Schema) }), nil
}

func hint(want string, all []string) string {
	text := problem.DidYouMean(want, all)
	if text == "" && len(all) > 0 {
		text = "there are: " + strings.Join(all[:min(len(all), 20)], ", ")
	}
	if text == "" {
		return ""
	}
	return "\n  hint: " + text
}

// Names gives each table the name that its resource could have: its singular. Where several would have the same, they get
// the schema's name in front, and where that does not help, the tables' own. The names are in the order of the tables.
func Names(tables []cdc.TableName) []string {
	ways := []func(t cdc.TableName) string{
		func(t cdc.TableName) string { return Singular(Snake(t.Name)) },
		func(t cdc.TableName) string { return Snake(t.Schema) + "_" + Singular(Snake(t.Name)) },
		func(t cdc.TableName) string { return Snake(t.Schema) + "_" + Snake(t.Name) },
	}
	way, names := make([]int, len(tables)), make([]string, len(tables))
	for range ways {
		count := map[string]int{}
		for i, t := range tables {
			names[i] = legal(ways[way[i]](t))
			count[names[i]]++
		}
		for i := range tables {
			if count[names[i]] > 1 && way[i] < len(ways)-1 {
				way[i]++
			}
		}
	}
	taken := map[string]int{}
	for _, name := range names {
		taken[name] = 0
	}
	for i, name := range names {
		n := taken[name]
		if taken[name]++; n == 0 {
			continue
		}
		for free := false; !free; n++ {
			names[i] = fmt.Sprintf("%.58s_%d", name, n+1)
			_, used := taken[names[i]]
			free = !used
		}
		taken[names[i]] = 1
	}
	return names
}

// legal makes a name that resources may have.
func legal(s string) string {
	s = strings.TrimLeft(s, "_")
	if s == "" || s[0] < 'a' || s[0] > 'z' || s == "rowhook" {
		s = "t_" + s
	}
	return s[:min(len(s), 63)]
}
