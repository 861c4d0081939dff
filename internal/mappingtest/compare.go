package mappingtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/problem"
)

// Failure is something that is not as the case expects.
type Failure struct {
	// Place is file:line:column of what is expected.
	Place string `json:"place"`
	// What says what it is about: event 1, contact.update: data.name. Or what is wrong with the case itself; Hint is the
	// next step then.
	What string `json:"what"`
	Hint string `json:"hint,omitempty"`
	// Want and Got are JSON, or text; both are empty where the case itself is wrong.
	Want string `json:"want,omitempty"`
	Got  string `json:"got,omitempty"`
}

var (
	eventKeys  = []string{"event", "instance", "account", "data", "previous", "partial"}
	letterKeys = []string{"dead_letter", "instance", "reason"}
)

// compare says what of the events is not as expected.
func (c *Case) compare(got []made) []Failure {
	if c.expect == nil {
		return []Failure{{Place: c.place(), What: "the case does not say what it expects", Hint: "rowhook test --update writes what comes out; read it"}}
	}
	d := differ{file: c.File}
	var wanted []string
	for _, n := range c.expect.Content {
		wanted = append(wanted, d.title(n))
	}
	var names []string
	for _, m := range got {
		names = append(names, m.title())
	}
	if len(d.failures) > 0 {
		return d.failures
	}
	if !slices.Equal(wanted, names) {
		list := func(s []string) string {
			if len(s) == 0 {
				return "none"
			}
			return strings.Join(s, ", ")
		}
		return []Failure{{Place: at(c.File, c.expect).String(), What: "the events", Want: list(wanted), Got: list(names)}}
	}
	for i, n := range c.expect.Content {
		d.entry(fmt.Sprintf("event %d, %s: ", i+1, got[i].name()), n, got[i])
	}
	return d.failures
}

// title is what an entry is, without its content.
func (m made) title() string {
	if m.event != nil {
		return m.event.Type
	}
	return "dead letter of " + m.dead.Resource
}

type differ struct {
	file     string
	failures []Failure
}

func (d *differ) fail(n *yaml.Node, what, want, got string) {
	d.failures = append(d.failures, Failure{Place: at(d.file, n).String(), What: what, Want: want, Got: got})
}

// title says what is expected, and notes what is wrong with the entry.
func (d *differ) title(n *yaml.Node) (title string) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	keys := eventKeys
	if n.Kind == yaml.MappingNode && slices.ContainsFunc(n.Content, func(k *yaml.Node) bool { return k.Value == "dead_letter" }) {
		keys = letterKeys
	}
	var problems problem.List
	members(d.file, n, keys, &problems, func(k, v *yaml.Node) {
		switch k.Value {
		case "event":
			title = v.Value
		case "dead_letter":
			title = "dead letter of " + v.Value
		}
	})
	if title == "" && len(problems) == 0 {
		problems.Add(at(d.file, n), "- event: contact.create", "the entry does not say which event")
	}
	for _, p := range problems {
		d.failures = append(d.failures, Failure{Place: p.Place.String(), What: p.Message, Hint: p.Hint})
	}
	return title
}

// entry compares what the entry says; what it does not say is not compared, but for partial.
func (d *differ) entry(what string, n *yaml.Node, got made) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	said := map[string]bool{}
	text := func(v *yaml.Node, what, got string, known bool) {
		want := v.Value
		null := v.ShortTag() == "!!null"
		switch {
		case null && !known, !null && known && want == got:
		case null:
			d.fail(v, what, "null", strconv.Quote(got))
		case !known:
			d.fail(v, what, strconv.Quote(want), "null")
		default:
			d.fail(v, what, strconv.Quote(want), strconv.Quote(got))
		}
	}
	var problems problem.List
	members(d.file, n, append(slices.Clone(eventKeys), letterKeys...), &problems, func(k, v *yaml.Node) {
		said[k.Value] = true
		if got.event == nil {
			switch k.Value {
			case "instance":
				text(v, what+"instance", got.dead.Instance, true)
			case "reason":
				if !strings.Contains(got.dead.Reason, v.Value) {
					d.fail(v, what+"reason", v.Value, got.dead.Reason)
				}
			}
			return
		}
		e := got.event
		switch k.Value {
		case "instance":
			text(v, what+"instance", e.Instance, true)
		case "account":
			text(v, what+"account", e.Account, e.Accounted)
		case "data":
			d.value(what+"data", v, tree(e.Data))
		case "previous":
			d.value(what+"previous", v, tree(orNull(e.Previous)))
		case "partial":
			d.value(what+"partial", v, list(e.Partial))
		}
	})
	if e := got.event; e != nil && !said["partial"] && len(e.Partial) > 0 {
		d.fail(n, what+"partial", "nothing is left out", show(list(e.Partial)))
	}
}

func orNull(b []byte) []byte {
	if b == nil {
		return []byte("null")
	}
	return b
}

// value compares a tree with one of JSON: objects by their members, whatever their order, numbers by their digits.
func (d *differ) value(path string, want, got *yaml.Node) {
	for want.Kind == yaml.AliasNode {
		want = want.Alias
	}
	switch {
	case want.Kind == yaml.MappingNode && got.Kind == yaml.MappingNode:
		d.object(path, want, got)
	case want.Kind == yaml.SequenceNode && got.Kind == yaml.SequenceNode:
		for i := range max(len(want.Content), len(got.Content)) {
			item := fmt.Sprintf("%s[%d]", path, i)
			switch {
			case i >= len(got.Content):
				d.fail(want.Content[i], item, show(want.Content[i]), "missing")
			case i >= len(want.Content):
				d.fail(want, item, "missing", show(got.Content[i]))
			default:
				d.value(item, want.Content[i], got.Content[i])
			}
		}
	case show(want) != show(got):
		d.fail(want, path, show(want), show(got))
	}
}

func (d *differ) object(path string, want, got *yaml.Node) {
	member := func(of *yaml.Node, name string) *yaml.Node {
		for i := 0; i+1 < len(of.Content); i += 2 {
			if of.Content[i].Value == name {
				return of.Content[i+1]
			}
		}
		return nil
	}
	for i := 0; i+1 < len(want.Content); i += 2 {
		k, v := want.Content[i], want.Content[i+1]
		if g := member(got, k.Value); g != nil {
			d.value(path+"."+k.Value, v, g)
		} else {
			d.fail(k, path+"."+k.Value, show(v), "missing")
		}
	}
	for i := 0; i+1 < len(got.Content); i += 2 {
		if k := got.Content[i].Value; member(want, k) == nil {
			d.fail(want, path+"."+k, "missing", show(got.Content[i+1]))
		}
	}
}

// show is a tree as JSON in one line.
func show(n *yaml.Node) string {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	var parts []string
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, quote(n.Content[i].Value)+":"+show(n.Content[i+1]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case yaml.SequenceNode:
		for _, c := range n.Content {
			parts = append(parts, show(c))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	switch n.ShortTag() {
	case "!!null":
		return "null"
	case "!!bool":
		return strings.ToLower(n.Value)
	case "!!int", "!!float":
		return n.Value
	}
	return quote(n.Value)
}

func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a text always can be
	return strings.TrimSpace(b.String())
}

func list(items []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for _, s := range items {
		n.Content = append(n.Content, scalar("!!str", s))
	}
	return n
}

func scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

// tree is JSON as YAML has it, in its order and with its digits.
func tree(data []byte) *yaml.Node {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	n, err := readTree(d)
	if err != nil {
		// json columns are sent as Postgres has them, which has checked them.
		return scalar("!!str", string(data))
	}
	return n
}

func readTree(d *json.Decoder) (*yaml.Node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case nil:
		return scalar("!!null", "null"), nil
	case bool:
		return scalar("!!bool", strconv.FormatBool(v)), nil
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return scalar("!!float", v.String()), nil
		}
		return scalar("!!int", v.String()), nil
	case string:
		return scalar("!!str", v), nil
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	if token == json.Delim('{') {
		n = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	for d.More() {
		if n.Kind == yaml.MappingNode {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, scalar("!!str", key.(string)))
		}
		item, err := readTree(d)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, item)
	}
	if _, err := d.Token(); err != nil && err != io.EOF {
		return nil, err
	}
	return n, nil
}
