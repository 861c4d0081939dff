package preview

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/internal/sample"
	"github.com/rowhook/rowhook/mapping"
)

// Viewer shows rows of a resource as an event. It has a change mapped as the stream would bring it, so what it says of
// the event is what would become of it.
type Viewer struct {
	*Source
	info mapping.ResourceInfo
	// EventName is its whole name; own is the resource as the config has it, kind what the mapping says of the event.
	EventName string
	own       mapping.Resource
	kind      mapping.EventType
	// forced is a mapper without conditions: it makes the event of any row.
	forced *mapping.Mapper
	// judged says that the conditions are those of the viewer of the mapping that runs, which has the columns that are masked here:
	// what it says of them holds.
	judged bool
	// masked are columns in whose place something else is shown; trial bounds a mapping of somebody else's than the operator.
	masked []string
	trial  *mapping.Trial
	// at is when the events were committed; now, where it is nil.
	at *moment
	// ask asks the application.
	ask func(context.Context, string) ([]byte, error)
}

// OpenViewer compiles the config, which stays as it is, against the tables as they are. Event is create, update, delete, truncate, or one of
// the resource's own, with or without the resource's name before it. The viewer is to be closed.
func OpenViewer(ctx context.Context, cfg *config.Config, resource, event string) (*Viewer, error) {
	v := &Viewer{}
	var names []string
	for _, r := range cfg.Mapping.Resources {
		names = append(names, r.Name)
		if r.Name == resource {
			v.own = r
		}
	}
	if v.own.Name == "" {
		return nil, unknown("the config has no resource", resource, names)
	}
	v.EventName = resource + "." + strings.TrimPrefix(event, resource+".")
	var events []string
	for _, e := range OwnEvents {
		events = append(events, resource+"."+e)
	}
	for _, e := range v.own.Events {
		events = append(events, e.Name)
	}
	if !slices.Contains(events, v.EventName) {
		return nil, unknown(fmt.Sprintf("resource %s has no event", resource), v.EventName, events)
	}
	// What an update has changed is only known of what --old tells.
	own := *cfg
	own.Mapping.Previous = true
	var err error
	if v.Source, err = Open(ctx, &own, "rowhook preview", resource); err != nil {
		return nil, err
	}
	v.ask = v.App.Get
	if err := v.prepare(); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// Close ends the connections.
func (v *Viewer) Close() { v.Source.Close(context.Background()) }

// prepare finds what the resource and its event are.
func (v *Viewer) prepare() (err error) {
	v.info, _ = v.Mapper.Resource(v.own.Name)
	for _, t := range v.Mapper.Types() {
		if t.Name == v.EventName {
			v.kind = t
		}
	}
	v.forced, err = v.variant(func(r *mapping.Resource) {
		r.Where, r.DeleteWhen, r.IgnoreChanges = nil, nil, nil
		for i := range r.Events {
			r.Events[i].When = &mapping.Source{Text: strconv.FormatBool(r.Events[i].Name == v.EventName)}
		}
	})
	return err
}

// variant is a mapper of the resource alone, with other conditions.
func (v *Viewer) variant(change func(*mapping.Resource)) (*mapping.Mapper, error) {
	own := v.own
	own.Events = slices.Clone(own.Events)
	change(&own)
	cfg := v.cfg.Mapping
	cfg.Resources = []mapping.Resource{own}
	def, problems := mapping.Parse(cfg)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	mapper, problems := v.compile(def)
	return mapper, problems.Err()
}

func (v *Viewer) compile(def *mapping.Definition) (*mapping.Mapper, problem.List) {
	if v.trial != nil {
		return def.CompileTrial(v.tables, "", v.trial)
	}
	return def.Compile(v.tables, "")
}

// Knows checks the names of --old.
func (v *Viewer) Knows(old map[string]*string) error {
	var names []string
	for _, c := range v.info.Table.Columns {
		if !c.Generated {
			names = append(names, c.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if !slices.Contains(names, name) {
			return unknown(fmt.Sprintf("--old: table %s has no column", v.info.Table), name, names)
		}
		c := v.info.Table.Columns[v.info.Table.Column(name)]
		if value := old[name]; value != nil && strings.HasPrefix(*value, "[") && c.Type.Elem != nil {
			return fmt.Errorf("--old: %s is an array, and %s is none\n  hint: write it as Postgres does, in a text: \"{vip,new}\"", name, *value)
		}
	}
	if old != nil && (v.EventName == v.own.Name+".create" || v.EventName == v.own.Name+".delete" || v.EventName == v.own.Name+".truncate") {
		return fmt.Errorf("--old is for updates, and %s is none\n  hint: --event update, or an event of the resource's own", v.EventName)
	}
	return nil
}

// Sample is the highest key of the table.
func (v *Viewer) Sample(ctx context.Context) (string, error) {
	return sampleKey(ctx, v.Conn, v.info)
}

// Show is the event of the row with the key. Old is what the row before an update held, by column: nil where nothing is known of it.
func (v *Viewer) Show(ctx context.Context, key string, old map[string]*string) (*Previewed, error) {
	at, err := v.present(ctx)
	if err != nil {
		return nil, err
	}
	var row cdc.Row
	if v.EventName != v.own.Name+".truncate" {
		if row, err = rowByKey(ctx, v.Conn, v.info, key); err != nil {
			return nil, err
		}
	}
	return v.show(ctx, at, row, old, nil)
}

// moment is what an event says of its commit.
type moment struct {
	time     time.Time
	position cdc.Position
}

// AtOnce has two viewers show events of one commit, so that they can be compared.
func (v *Viewer) AtOnce(ctx context.Context, other *Viewer) error {
	at, err := v.present(ctx)
	v.at, other.at = &at, &at
	return err
}

func (v *Viewer) present(ctx context.Context) (moment, error) {
	if v.at != nil {
		return *v.at, nil
	}
	now, position, err := sample.Present(ctx, v.Conn)
	return moment{now.UTC(), position}, err
}

// show is the event of a row. As, where it is not nil, says whether it would be sent.
func (v *Viewer) show(ctx context.Context, at moment, row cdc.Row, old map[string]*string, as *Previewed) (*Previewed, error) {
	change := &cdc.Change{Op: cdc.Update, Relation: v.relation(), Ordinal: at.position.Ordinal, Tx: &cdc.Tx{Commit: at.position.Commit, Time: at.time}}
	if v.EventName == v.own.Name+".truncate" {
		change.Op = cdc.Truncate
		event, _, err := v.pick(v.Mapper, change)
		if err != nil {
			return nil, err
		}
		return &Previewed{Event: event, Sent: true, Remarks: v.whose(event)}, nil
	}
	var remarks []string
	row = v.streamed(v.mask(row))
	switch v.EventName {
	case v.own.Name + ".create":
		change.Op, change.New = cdc.Insert, row
	case v.own.Name + ".delete":
		// Of a deleted row, the stream tells what is in the replica identity.
		change.Op, change.Old = cdc.Delete, v.identityOf(row)
		change.OldWhole = change.Relation.Identity == cdc.IdentityFull
	default:
		change.New = row
		remarks = v.before(change, old)
	}
	s := &Previewed{Remarks: remarks}
	if as != nil && v.kind.Reason == "" {
		s.Sent, s.unsent = as.Sent, as.unsent
	} else {
		event, made, err := v.pick(v.Mapper, change)
		if err != nil {
			return nil, err
		}
		s.Event, s.Sent = event, event != nil && v.kind.Reason == ""
		if !s.Sent {
			if s.unsent, err = v.why(change, made, old != nil); err != nil {
				return nil, err
			}
		}
	}
	if !s.Sent {
		s.Remarks = append(s.Remarks, fmt.Sprintf("%s would not be sent: %s", v.EventName, s.unsent))
	}
	if s.Event == nil {
		var err error
		if s.Event, err = v.force(change); err != nil {
			return nil, err
		}
	}
	if s.Sent {
		s.Remarks = append(s.Remarks, v.whose(s.Event)...)
	}
	return s, v.complete(ctx, s.Event, v.ask)
}

// pick maps the change and is the event that is shown, if there is one, and the names of all that there are.
func (v *Viewer) pick(m *mapping.Mapper, c *cdc.Change) (event *mapping.Event, made []string, err error) {
	events, dead := m.Map(nil, nil, 1, c)
	for _, e := range events {
		if e.Resource != v.own.Name {
			continue
		}
		made = append(made, e.Type)
		if e.Type == v.EventName {
			event = e
		}
	}
	for _, d := range dead {
		if d.Resource == v.own.Name && event == nil {
			return nil, made, errors.New(d.Reason)
		}
	}
	return event, made, nil
}

// force is the event of a row that would not make it.
func (v *Viewer) force(change *cdc.Change) (*mapping.Event, error) {
	event, _, err := v.pick(v.forced, change)
	if err == nil && event == nil && change.Op == cdc.Update {
		// The key has changed, or nothing has.
		again := *change
		again.Old, again.OldWhole = nil, false
		event, _, err = v.pick(v.forced, &again)
	}
	if err == nil && event == nil {
		return nil, fmt.Errorf("%s cannot be shown of this row", v.EventName)
	}
	return event, err
}

// relation is the table as the stream would tell it: without generated columns.
func (v *Viewer) relation() *cdc.Relation {
	t := v.info.Table
	r := &cdc.Relation{OID: t.OID, Table: t.TableName, Identity: t.Identity}
	for _, c := range t.Columns {
		if !c.Generated {
			r.Columns = append(r.Columns, c)
		}
	}
	for _, k := range t.Key {
		r.Key = append(r.Key, slices.IndexFunc(r.Columns, func(c cdc.Column) bool { return c.Name == t.Columns[k].Name }))
	}
	return r
}

// streamed is the row without generated columns.
func (v *Viewer) streamed(row cdc.Row) (out cdc.Row) {
	for i, c := range v.info.Table.Columns {
		if !c.Generated {
			out = append(out, row[i])
		}
	}
	return out
}

// identityOf is what the log tells of a row that is gone.
func (v *Viewer) identityOf(row cdc.Row) cdc.Row {
	out := slices.Clone(row)
	for i, c := range v.relation().Columns {
		if !c.Identity {
			out[i] = cdc.Value{}
		}
	}
	return out
}

// before puts the row before an update into the change, as far as the log would tell it, and says what it would not.
func (v *Viewer) before(c *cdc.Change, old map[string]*string) (remarks []string) {
	if old == nil {
		return nil
	}
	row := slices.Clone(c.New)
	inIdentity := false
	var untold []string
	for i, column := range c.Relation.Columns {
		value, given := old[column.Name]
		switch {
		case !given:
			continue
		case value == nil:
			row[i] = cdc.Value{Kind: cdc.Null}
		case baseName(column.Type) == "bool" && (*value == "true" || *value == "false"):
			// A boolean is t or f in the stream.
			row[i] = cdc.Value{Kind: cdc.Text, Data: []byte((*value)[:1])}
		default:
			row[i] = cdc.Value{Kind: cdc.Text, Data: []byte(*value)}
		}
		inIdentity = inIdentity || column.Identity
		if !column.Identity {
			untold = append(untold, column.Name)
		}
	}
	if c.Relation.Identity == cdc.IdentityFull {
		c.Old, c.OldWhole = row, true
		return nil
	}
	if inIdentity {
		c.Old = v.identityOf(row)
	}
	if len(untold) > 0 {
		remarks = append(remarks, fmt.Sprintf("--old: the log would not tell %s, which is not in the replica identity of %s; ALTER TABLE %s REPLICA IDENTITY FULL; mends it",
			strings.Join(untold, ", "), v.info.Table, v.info.Table.Quote()))
	}
	return remarks
}

// baseName is the name of a type, of a domain that of what it is made of.
func baseName(t *cdc.Type) string {
	for t.Base != nil {
		t = t.Base
	}
	return t.Name
}

// why says why the change does not make the event; made is what it makes.
func (v *Viewer) why(c *cdc.Change, made []string, hasOld bool) (string, error) {
	if v.kind.Reason != "" {
		return "it is offered to nobody. " + v.kind.Reason, nil
	}
	row := c.New
	if row == nil {
		row = c.Old
	}
	for _, condition := range []struct {
		is   *mapping.Source
		keep func(*mapping.Resource)
		says string
	}{
		{v.own.Where, func(r *mapping.Resource) { r.DeleteWhen = nil }, "where does not hold for the row, so it is no " + v.own.Name},
		{v.own.DeleteWhen, func(r *mapping.Resource) { r.Where = nil }, "delete_when holds for the row, so it counts as deleted"},
	} {
		if condition.is == nil {
			continue
		}
		m, err := v.variant(condition.keep)
		if err != nil {
			return "", err
		}
		there := *c
		there.Op, there.New, there.Old, there.OldWhole = cdc.Insert, row, nil, false
		events, _ := m.Map(nil, nil, 1, &there)
		if !slices.ContainsFunc(events, func(e *mapping.Event) bool { return e.Type == v.own.Name+".create" }) {
			return condition.says + instead(made), nil
		}
	}
	switch {
	case slices.ContainsFunc(v.own.Events, func(e mapping.NamedEvent) bool { return e.Name == v.EventName }):
		why := "its condition does not hold"
		if !hasOld {
			why += " where the row before was the same; --old says what it was"
		}
		return why + instead(made), nil
	case len(made) > 0:
		return "such a change is another event" + instead(made), nil
	case hasOld:
		return "nothing that is sent differs from --old, or only what ignore_changes names", nil
	}
	return "the row makes no event", nil
}

// instead are the events that a change makes.
func instead(made []string) string {
	if len(made) == 0 {
		return ""
	}
	return " (it would be " + strings.Join(made, " and ") + ")"
}

// whose says who gets the event.
func (v *Viewer) whose(e *mapping.Event) []string {
	switch {
	case v.kind.AccountReason != "":
		return []string{"for the admin's subscriptions only: " + v.kind.AccountReason}
	case !e.Accounted:
		return []string{"for the admin's subscriptions only: the row's account is null or empty"}
	}
	return []string{fmt.Sprintf("for the subscriptions of account %q, and the admin's", e.Account)}
}
