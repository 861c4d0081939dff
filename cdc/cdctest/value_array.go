package cdctest

import (
	"strings"

	"github.com/rowhook/rowhook/cdc"
)

// arrayReader reads the text of an array and writes it as Postgres does.
// https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
type arrayReader struct {
	whole, rest string
	t           *cdc.Type
	out         strings.Builder
	// lengths are those of the dimensions, as far as they are known; items is the depth at which the items are.
	lengths []int
	items   int
}

// arrayText checks the text of an array, and its items.
func arrayText(s string, t *cdc.Type) (string, error) {
	a := &arrayReader{whole: s, rest: strings.Trim(s, space), t: t}
	if strings.HasPrefix(a.rest, "[") {
		bounds, rest, ok := strings.Cut(a.rest, "=")
		if !ok {
			return "", a.bad("behind its bounds an array has =")
		}
		a.out.WriteString(strings.TrimRight(bounds, space) + "=")
		a.rest = strings.TrimLeft(rest, space)
	}
	if err := a.array(1); err != nil {
		return "", err
	}
	if a.rest != "" {
		return "", a.bad("something stands behind its end")
	}
	if a.items == 0 {
		return "{}", nil
	}
	return a.out.String(), nil
}

func (a *arrayReader) bad(why string) error {
	return mistake{shown(a.whole) + " is not an array: " + why, "write a list: [a, b]; or as Postgres does: '{a,b}'"}
}

// skip takes c, if it comes next.
func (a *arrayReader) skip(c byte) bool {
	a.rest = strings.TrimLeft(a.rest, space)
	if a.rest == "" || a.rest[0] != c {
		return false
	}
	a.rest = a.rest[1:]
	return true
}

func (a *arrayReader) array(depth int) error {
	if depth > 6 {
		return a.bad("it has more than six dimensions")
	}
	if !a.skip('{') {
		return a.bad("it does not begin with {")
	}
	a.out.WriteByte('{')
	n := 0
	for !a.skip('}') {
		if n > 0 {
			if !a.skip(a.t.Elem.Delim) {
				return a.bad("a } or a delimiter is missing")
			}
			a.out.WriteByte(a.t.Elem.Delim)
		}
		a.rest = strings.TrimLeft(a.rest, space)
		inner := strings.HasPrefix(a.rest, "{")
		if a.items == 0 && !inner {
			a.items = depth
		} else if a.items > 0 && inner == (a.items == depth) {
			return a.bad("its lists differ in depth")
		}
		read := a.item
		if inner {
			read = func() error { return a.array(depth + 1) }
		}
		if err := read(); err != nil {
			return err
		}
		n++
	}
	a.out.WriteByte('}')
	for len(a.lengths) < depth {
		a.lengths = append(a.lengths, -1)
	}
	if l := &a.lengths[depth-1]; *l < 0 {
		*l = n
	} else if *l != n {
		return a.bad("its lists differ in length")
	}
	return nil
}

// item reads one that is no list.
func (a *arrayReader) item() error {
	var b strings.Builder
	quoted, i := strings.HasPrefix(a.rest, `"`), 0
	if quoted {
		i = 1
	}
	kept := 0 // what is escaped at the end is no space to trim
	for ; ; i++ {
		if i >= len(a.rest) {
			return a.bad("it has no end")
		}
		c := a.rest[i]
		if quoted && c == '"' || !quoted && (c == '}' || c == a.t.Elem.Delim) {
			break
		}
		if !quoted && (c == '"' || c == '{') {
			return a.bad("a value with such signs is in quotes")
		}
		if c == '\\' {
			if i++; i >= len(a.rest) {
				return a.bad("it has no end")
			}
			b.WriteByte(a.rest[i])
			kept = b.Len()
			continue
		}
		b.WriteByte(c)
	}
	text := b.String()
	if quoted {
		i++
	} else {
		if text = text[:kept] + strings.TrimRight(text[kept:], space); text == "" {
			return a.bad("a value is missing")
		}
		if kept == 0 && strings.EqualFold(text, "null") {
			a.rest = a.rest[i:]
			a.out.WriteString("NULL")
			return nil
		}
	}
	a.rest = a.rest[i:]
	text, err := canonical(text, a.t.Elem)
	a.out.WriteString(arrayItem(text, a.t.Elem.Delim))
	return err
}
