package sender

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// The bounds of a form: each value comes with all names above it, so that a document of some kilobytes could make one of
// gigabytes.
const (
	formDepth  = 500
	formGrowth = 16
	formSpare  = 64 << 10
	formMax    = 64 << 20
)

var errFormTooLarge = errors.New(`the event takes too much room as a form: use the encoding "json"`)

// appendForm appends a JSON document as application/x-www-form-urlencoded. Nested members are data[address][city]; scalars in
// a list are data[tags][], all else in it data[lines][0]; null, and what is empty, is the empty string; numbers keep their
// digits. What is no object has the name data.
func appendForm(dst, document []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	n := len(document)
	w := &formWriter{in: d, out: dst, most: len(dst) + formBound(n)}
	t, err := d.Token()
	if err != nil {
		return dst, errors.New("the body is not JSON")
	}
	if t == json.Delim('{') {
		err = w.members(0)
	} else {
		w.path = append(w.path, "data"...)
		err = w.value(t, 0)
	}
	return w.out, err
}

// formBound is the most that the form of so much JSON may take.
func formBound(n int) int { return max(2*n, min(formGrowth*n+formSpare, formMax)) }

type formWriter struct {
	in   *json.Decoder
	out  []byte
	most int
	// path is the name of the value that is being written, as it is written.
	path []byte
}

// value writes what begins with a token, under the path.
func (w *formWriter) value(t json.Token, depth int) error {
	if depth > formDepth {
		return fmt.Errorf(`the event nests deeper than %d levels: use the encoding "json"`, formDepth)
	}
	switch t := t.(type) {
	case json.Delim:
		if !w.in.More() {
			if _, err := w.in.Token(); err != nil {
				return err
			}
			return w.field("")
		}
		if t == '{' {
			return w.members(depth)
		}
		return w.elements(depth)
	case string:
		return w.field(t)
	case json.Number:
		return w.field(t.String())
	case bool:
		return w.field(strconv.FormatBool(t))
	}
	return w.field("")
}

// members writes those of an object whose brace was read.
func (w *formWriter) members(depth int) error {
	above := len(w.path)
	for w.in.More() {
		name, err := w.in.Token()
		if err != nil {
			return err
		}
		text, _ := name.(string)
		if depth == 0 {
			w.path = append(w.path, url.QueryEscape(text)...)
		} else {
			w.path = append(append(append(w.path, "%5B"...), url.QueryEscape(text)...), "%5D"...)
		}
		t, err := w.in.Token()
		if err != nil {
			return err
		}
		if err := w.value(t, depth+1); err != nil {
			return err
		}
		w.path = w.path[:above]
	}
	_, err := w.in.Token()
	return err
}

// elements writes those of a list whose bracket was read.
func (w *formWriter) elements(depth int) error {
	above := len(w.path)
	for i := 0; w.in.More(); i++ {
		t, err := w.in.Token()
		if err != nil {
			return err
		}
		w.path = append(w.path, "%5B"...)
		if _, nested := t.(json.Delim); nested {
			w.path = strconv.AppendInt(w.path, int64(i), 10)
		}
		w.path = append(w.path, "%5D"...)
		if err := w.value(t, depth+1); err != nil {
			return err
		}
		w.path = w.path[:above]
	}
	_, err := w.in.Token()
	return err
}

func (w *formWriter) field(value string) error {
	if len(w.out)+len(w.path)+len(value) > w.most {
		return errFormTooLarge
	}
	if len(w.out) > 0 {
		w.out = append(w.out, '&')
	}
	w.out = append(append(w.out, w.path...), '=')
	w.out = append(w.out, url.QueryEscape(value)...)
	return nil
}

// parameter is a name and its value, as they are before they are encoded.
type parameter struct{ name, value string }

// parametersOf reads a form, in its order.
func parametersOf(form string) []parameter {
	if form == "" {
		return nil
	}
	var all []parameter
	for pair := range strings.SplitSeq(form, "&") {
		name, value, _ := strings.Cut(pair, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 == nil && err2 == nil {
			all = append(all, parameter{n, v})
		}
	}
	return all
}
