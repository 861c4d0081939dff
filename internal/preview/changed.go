package preview

import (
	"context"
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/mapping"
)

// Changed is a viewer of the same rows by another mapping of the resource, for somebody who may not see more of a row than the mapping
// of v tells: columns of which it sends nothing are masked, also those of its conditions alone. What says which rows are read, and of which tables, is to be the same in both.
// What the mapping may compute is bounded (mapping.Trial). It shares v's connections, and is not closed. The error is a problem.List where the mapping is at fault.
func (v *Viewer) Changed(own mapping.Resource) (*Viewer, error) {
	if problems := v.refused(&own); len(problems) > 0 {
		return nil, problems
	}
	cfg := *v.cfg
	cfg.Mapping.Resources = []mapping.Resource{own}
	def, problems := mapping.Parse(cfg.Mapping)
	if len(problems) > 0 {
		return nil, problems
	}
	trial := mapping.NewTrial()
	alone, problems := def.CompileTrial(v.tables, "", trial)
	if len(problems) > 0 {
		return nil, problems
	}
	masked, err := v.unsent()
	if err != nil {
		return nil, err
	}
	src := *v.Source
	src.cfg, src.Mapper = &cfg, alone
	c := &Viewer{Source: &src, EventName: v.EventName, own: own, masked: masked, judged: sameConditions(&own, &v.own), trial: trial}
	if !slices.Contains(OwnEvents, v.EventName[len(own.Name)+1:]) && !slices.ContainsFunc(own.Events, func(e mapping.NamedEvent) bool { return e.Name == v.EventName }) {
		return nil, problem.List{{Place: own.At, Message: "there is no event " + v.EventName, Hint: "choose another event to look at"}}
	}
	// One answer of the application for both: two may differ though nothing was changed.
	type answer struct {
		body []byte
		err  error
	}
	answers, get := map[string]answer{}, v.App.Get
	v.ask = func(ctx context.Context, path string) ([]byte, error) {
		a, there := answers[path]
		if !there {
			a.body, a.err = get(ctx, path)
			answers[path] = a
		}
		return a.body, a.err
	}
	c.ask = v.ask
	return c, c.prepare()
}

// ShowBoth is the event of the row as both viewers make it, of one reading of the row. Each has its own error.
func ShowBoth(ctx context.Context, now, changed *Viewer, key string) (a, b *Previewed, errA, errB, err error) {
	at, err := now.present(ctx)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	row, err := rowByKey(ctx, now.Conn, now.info, key)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	a, errA = now.show(ctx, at, row, nil, nil)
	if changed != nil {
		var as *Previewed
		if changed.judged {
			as = a // nil where the mapping that runs makes nothing of it
		}
		b, errB = changed.show(ctx, at, row, nil, as)
	}
	return a, b, errA, errB, nil
}

// Masked are the columns that are masked.
func (v *Viewer) Masked() []string { return v.masked }

// refused says which parts of a changed mapping differ from what stays.
func (v *Viewer) refused(own *mapping.Resource) (list problem.List) {
	at := func(place problem.Place) problem.Place {
		if place.Line == 0 {
			return own.At
		}
		return place
	}
	const hint = "put it into the config, then look at it with rowhook preview"
	if own.Table != v.own.Table {
		list.Add(at(own.TableAt), hint, "the table stays %s here", v.own.Table)
	}
	if !sameTexts(own.Key, v.own.Key) {
		place := own.At
		if len(own.Key) > 0 {
			place = at(own.Key[0].At)
		}
		list.Add(place, hint, "key stays as it is here")
	}
	if !sameSource(own.Path, v.own.Path) {
		place := own.At
		if own.Path != nil {
			place = at(own.Path.At)
		}
		list.Add(place, hint, "path stays as it is here")
	}
	if !reflect.DeepEqual(withoutPlaces(own.Relations), withoutPlaces(v.own.Relations)) {
		place := own.At
		if len(own.Relations) > 0 {
			place = at(own.Relations[0].At)
		}
		list.Add(place, hint, "relations stay as they are here")
	}
	return list
}

func sameSource(a, b *mapping.Source) bool {
	return a == b || a != nil && b != nil && a.Text == b.Text
}

// sameConditions says that both send the same rows: a condition that differs is of a row whose columns may be masked.
func sameConditions(a, b *mapping.Resource) bool {
	return sameSource(a.Where, b.Where) && sameSource(a.DeleteWhen, b.DeleteWhen) &&
		slices.EqualFunc(a.Events, b.Events, func(x, y mapping.NamedEvent) bool { return x.Name == y.Name && sameSource(x.When, y.When) })
}

func sameTexts(a, b []mapping.Source) bool {
	return slices.EqualFunc(a, b, func(x, y mapping.Source) bool { return x.Text == y.Text })
}

// withoutPlaces are relations as they are, wherever they stand.
func withoutPlaces(relations []mapping.Relation) []any {
	all := make([]any, len(relations))
	for i, r := range relations {
		texts := func(sources []mapping.Source) []string {
			out := make([]string, len(sources))
			for i, s := range sources {
				out[i] = s.Text
			}
			return out
		}
		var join [][2]string
		for _, j := range r.Join {
			join = append(join, [2]string{j.Theirs.Text, j.Ours.Text})
		}
		foreign := ""
		if r.ForeignKey != nil {
			foreign = r.ForeignKey.Text
		}
		all[i] = []any{r.Name, r.Table, foreign, join, r.Many, texts(r.OrderBy), tree(r.Representation), texts(r.Columns), r.AllColumns, texts(r.Except), r.Touch,
			withoutPlaces(r.Relations)}
	}
	return all
}

// tree is a node without its places and style. A text and a number of the same digits differ.
func tree(n *yaml.Node) any {
	if n == nil {
		return nil
	}
	content := make([]any, len(n.Content))
	for i, c := range n.Content {
		content[i] = tree(c)
	}
	return []any{n.Kind, n.ShortTag(), n.Value, content}
}

// unsent are the columns of the table of which the resource's own mapping sends nothing: of those that a condition alone reads, a body
// tells no more than that it is sent.
func (v *Viewer) unsent() (names []string, err error) {
	sending, err := v.variant(func(r *mapping.Resource) {
		r.Where, r.DeleteWhen, r.IgnoreChanges, r.Events = nil, nil, nil, nil
	})
	if err != nil {
		return nil, err
	}
	relation := v.relation()
	read := sending.Columns(relation)
	for i, c := range relation.Columns {
		if !slices.Contains(read, i) {
			names = append(names, c.Name)
		}
	}
	return names, nil
}

// mask puts placeholders in the place of masked columns: *** for a text, null for others.
func (v *Viewer) mask(row cdc.Row) cdc.Row {
	if len(v.masked) == 0 {
		return row
	}
	row = slices.Clone(row)
	for i, c := range v.info.Table.Columns {
		switch {
		case !slices.Contains(v.masked, c.Name):
		case slices.Contains([]string{"text", "varchar", "bpchar", "citext"}, baseName(c.Type)):
			row[i] = cdc.Value{Kind: cdc.Text, Data: []byte("***")}
		default:
			row[i] = cdc.Value{Kind: cdc.Null}
		}
	}
	return row
}
