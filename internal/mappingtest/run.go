package mappingtest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/cdc/cdctest"
	"github.com/rowhook/rowhook/coalesce"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/mapping"
)

// Outcome is what became of a case.
type Outcome struct {
	Case *Case
	// Failures are what is wrong; none is well.
	Failures []Failure
	// made is what came out, where the case could be run.
	made []made
	ran  bool
}

// made is an event, or a change that could not be mapped.
type made struct {
	event *mapping.Event
	dead  mapping.DeadLetter
}

// Run runs the case.
func (c *Case) Run() *Outcome {
	o := &Outcome{Case: c}
	out, err := c.run()
	var list problem.List
	switch {
	case errors.As(err, &list):
		for _, p := range list {
			o.Failures = append(o.Failures, Failure{Place: p.Place.String(), What: p.Message, Hint: p.Hint})
		}
		return o
	case err != nil:
		o.Failures = []Failure{{Place: c.place(), What: err.Error()}}
		return o
	}
	o.made, o.ran = out, true
	o.Failures = c.compare(out)
	return o
}

func (c *Case) place() string { return problem.Place{File: c.File, Line: c.Line}.String() }

// Expects says that the case says what it expects.
func (c *Case) Expects() bool { return c.expect != nil }

// begin is the time of the first transaction.
var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// run makes the changes. The error is a problem.List, but for what is rowhook's own fault.
func (c *Case) run() ([]made, error) {
	if err := c.problems.Err(); err != nil {
		return nil, err
	}
	m, err := c.mapper()
	if err != nil {
		return nil, err
	}
	state := cdctest.NewState(c.tables)
	var problems problem.List
	for _, rows := range c.rows {
		problems = append(problems, state.Load(rows.file, rows.node)...)
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	r := runner{mapper: m, state: state, tables: c.tables.ByName}
	r.stage.Wanted = func(ch *cdc.Change) coalesce.Wanted { return m.Wanted(ch.Relation) }
	r.stage.Holds = func(*cdc.Change) bool { return m.Coalesces() }
	for n, list := range transactions(c.changes) {
		tx := &cdc.Tx{Commit: cdc.LSN(0x1000000 * (n + 1)), Time: begin.Add(time.Duration(n) * time.Second), XID: uint32(n + 1)}
		changes, problems := state.Apply(c.File, list, tx)
		if err := problems.Err(); err != nil {
			return nil, err
		}
		r.transaction(changes)
	}
	return r.made, nil
}

// transactions are the changes between commits.
func transactions(list *yaml.Node) [][]*yaml.Node {
	var all [][]*yaml.Node
	var open []*yaml.Node
	for _, n := range list.Content {
		if n.Kind == yaml.ScalarNode && n.Value == "commit" {
			all, open = append(all, open), nil
			continue
		}
		open = append(open, n)
	}
	return append(all, open)
}

func (c *Case) mapper() (*mapping.Mapper, error) {
	env := func(name string) (string, bool) {
		if v, ok := c.env[name]; ok {
			return v, true
		}
		return os.LookupEnv(name)
	}
	cfg, err := config.LoadMapping(c.config, env)
	if err != nil {
		return nil, err
	}
	// A case needs only the tables that it is about: resources of others are left out.
	written := func(n cdc.TableName) bool { return c.tables.ByName[n] != nil }
	kept := slices.DeleteFunc(slices.Clone(cfg.Resources), func(r mapping.Resource) bool { return !written(r.Table) })
	if len(kept) > 0 {
		cfg.Resources = kept
	}
	def, problems := mapping.Parse(cfg)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	for _, n := range append(def.Tables(), def.RelatedTables()...) {
		if !written(n) {
			var list problem.List
			list.Add(problem.Place{File: c.File, Line: c.Line}, "describe it under tables, in the case or in tables.yaml beside it; rowhook test --dump-tables prints those of a database",
				"the config uses the table %s, which is not described", n)
			return nil, list.Err()
		}
	}
	m, problems := def.Compile(c.tables.ByName, "test")
	return m, problems.Err()
}

// runner is the way of the data, as in a running rowhook.
type runner struct {
	mapper *mapping.Mapper
	state  *cdctest.State
	tables map[cdc.TableName]*cdc.Table
	stage  coalesce.Stage
	made   []made
}

func (r *runner) transaction(changes []*cdc.Change) {
	b := &cdc.Batch{Epoch: 1}
	for _, c := range changes {
		b.Changes = append(b.Changes, *c)
	}
	r.stage.Put(b)
	var ordinal, sub uint32
	var touched toucher
	for part := r.stage.Next(); part != nil; part = r.stage.Next() {
		for i := range part.Changes {
			c := &part.Changes[i]
			r.state.Reread(c)
			var place coalesce.Place
			if part.Places != nil {
				place = part.Places[i]
			}
			if c.Ordinal != ordinal {
				ordinal, sub = c.Ordinal, 0
			}
			touched.gather(r.mapper, b.Epoch, c, place)
			events, dead := r.mapper.MapPlaced(nil, nil, b.Epoch, c, place, sub)
			sub += uint32(len(events) + len(dead))
			touched.note(r.mapper, events, dead)
			r.complete(events, dead)
		}
	}
	r.touch(&touched)
}

// complete puts in the rows of relations, as they are after the transaction.
func (r *runner) complete(events []*mapping.Event, dead []mapping.DeadLetter) {
	completion := mapping.NewCompletion(events)
	cdctest.Answer(completion, r.tables, r.state.Rows, nil)
	var all []made
	for _, e := range events {
		if letter, bad := completion.Complete(e); bad {
			dead = append(dead, letter)
		} else {
			all = append(all, made{event: e})
		}
	}
	for _, d := range dead {
		all = append(all, made{dead: d})
	}
	slices.SortStableFunc(all, func(a, b made) int { return a.position().Compare(b.position()) })
	r.made = append(r.made, all...)
}

func (m made) position() cdc.Position {
	if m.event != nil {
		return m.event.Position
	}
	return m.dead.Position
}

// name is what a failure calls it.
func (m made) name() string {
	if m.event != nil {
		return m.event.Type
	}
	return fmt.Sprintf("a dead letter of %s", m.dead.Resource)
}
