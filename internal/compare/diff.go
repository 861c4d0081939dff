package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Difference is a place at which two values differ.
type Difference struct {
	// Path is where: address.city, tags[2]; $ is the whole.
	Path string
	// Ours and Theirs are what is there, compact; nil where there is nothing.
	Ours, Theirs []byte
	// Hint says what would make them equal, where that is plain. It may be empty.
	Hint string
}

// Field is the path without the places in lists: tags[2].name is tags[].name.
func (d *Difference) Field() string { return fieldOf(d.Path) }

func fieldOf(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		b.WriteByte(path[i])
		if path[i] != '[' || i+1 == len(path) || path[i+1] == '"' {
			continue
		}
		for i+1 < len(path) && path[i+1] != ']' {
			i++
		}
	}
	return b.String()
}

// Diff lists the differences of two JSON values, in the order of the paths. The order of members does not count, numbers
// are equal by value. What is ignored, by path or field, is left out with all below it.
func Diff(ours, theirs []byte, ignore []string) ([]Difference, error) {
	a, err := decode(ours)
	if err != nil {
		return nil, fmt.Errorf("read our body: %w", err)
	}
	b, err := decode(theirs)
	if err != nil {
		return nil, fmt.Errorf("read the API's answer: %w", err)
	}
	d := differ{ignore: ignore}
	d.values("", a, b)
	return d.found, nil
}

func decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

type differ struct {
	ignore []string
	found  []Difference
}

func (d *differ) ignored(path string) bool {
	for _, of := range []string{path, fieldOf(path)} {
		for _, ignored := range d.ignore {
			if rest, ok := strings.CutPrefix(of, ignored); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
				return true
			}
		}
	}
	return false
}

// add notes a difference; a value that is not there is given as missing.
func (d *differ) add(path string, ours, theirs any, hint string) {
	if path == "" {
		path = "$"
	}
	d.found = append(d.found, Difference{path, encode(ours), encode(theirs), hint})
}

// missing stands for a value that is not there.
type missing struct{}

func encode(v any) []byte {
	if _, none := v.(missing); none {
		return nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return []byte("null")
	}
	return bytes.TrimSpace(b.Bytes())
}

func (d *differ) values(path string, ours, theirs any) {
	if d.ignored(path) {
		return
	}
	switch a := ours.(type) {
	case map[string]any:
		if b, ok := theirs.(map[string]any); ok {
			d.objects(path, a, b)
			return
		}
	case []any:
		if b, ok := theirs.([]any); ok {
			d.lists(path, a, b)
			return
		}
	}
	if !equal(ours, theirs) {
		d.add(path, ours, theirs, hint(ours, theirs))
	}
}

func (d *differ) objects(path string, ours, theirs map[string]any) {
	hint := ""
	if path == "" {
		if at := envelope(ours, theirs); at != "" {
			hint = "the answer is in an envelope: compare with what is at " + at + " (--at " + at + ")"
		}
	}
	if hint != "" && !overlap(ours, theirs) {
		d.add(path, ours, theirs, hint)
		return
	}
	names := slices.Collect(maps.Keys(ours))
	for name := range theirs {
		if _, both := ours[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		at := memberPath(path, name)
		a, have := ours[name]
		b, has := theirs[name]
		switch {
		case have && has:
			d.values(at, a, b)
		case d.ignored(at):
		case have:
			told := hint
			if told == "" {
				told = otherCase(name, ours, theirs)
			}
			d.add(at, a, missing{}, told)
		default:
			told := hint
			if told == "" && otherCase(name, theirs, ours) == "" {
				told = "add it to the representation; what only the application can compute is ${api" + apiPath(at) + "}"
			}
			d.add(at, missing{}, b, told)
		}
	}
}

// apiPath is a path as an expression goes on with it.
func apiPath(path string) string {
	if strings.HasPrefix(path, "[") {
		return path
	}
	return "." + path
}

func (d *differ) lists(path string, ours, theirs []any) {
	same := sameItems(ours, theirs)
	if len(ours) != len(theirs) || same {
		if equal(ours, theirs) {
			return
		}
		hint := fmt.Sprintf("ours has %s, the API's %d", items(len(ours)), len(theirs))
		if same {
			hint = "the same items in another order: order_by of the relation"
		}
		d.add(path, ours, theirs, hint)
		return
	}
	for i := range ours {
		d.values(path+"["+strconv.Itoa(i)+"]", ours[i], theirs[i])
	}
}

func items(n int) string {
	if n == 1 {
		return "1 item"
	}
	return fmt.Sprintf("%d items", n)
}

// sameItems says that two lists have the same items, in whatever order.
func sameItems(a, b []any) bool {
	if len(a) != len(b) {
		return false
	}
	texts := func(list []any) []string {
		out := make([]string, len(list))
		for i, v := range list {
			out[i] = string(encode(v))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(texts(a), texts(b))
}

func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && sameNumber(string(a), string(b))
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equal)
	}
	switch b.(type) {
	case []any, map[string]any:
		return false
	}
	return a == b
}

// sameNumber compares by value. Numbers with exponents that nobody means are compared as text.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	x, ok1 := rational(a)
	y, ok2 := rational(b)
	return ok1 && ok2 && x.Cmp(y) == 0
}

func rational(s string) (*big.Rat, bool) {
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		if n, err := strconv.Atoi(s[i+1:]); err != nil || n > 400 || n < -400 {
			return nil, false
		}
	}
	if len(s) > 2000 {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

// memberPath is the path of a member: dots between plain names, brackets around others.
func memberPath(path, name string) string {
	switch {
	case name == "" || strings.ContainsAny(name, ".[]\" ") || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Sprintf("%s[%q]", path, name)
	case path == "":
		return name
	}
	return path + "." + name
}

// At is the part of a JSON value at a path of members, such as data.contact. It is false where there is none.
func At(value []byte, path string) ([]byte, bool) {
	for _, name := range strings.Split(path, ".") {
		var members map[string]json.RawMessage
		if json.Unmarshal(value, &members) != nil {
			return nil, false
		}
		var ok bool
		if value, ok = members[name]; !ok {
			return nil, false
		}
	}
	return value, true
}
