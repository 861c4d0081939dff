package sender

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestForm(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{`{"a":1.10,"b":"x y&z=é","c":null,"d":true}`, `a=1.10&b=x+y%26z%3D%C3%A9&c=&d=true`},
		{`{"data":{"address":{"city":"B"},"tags":["x",7,null]}}`, `data[address][city]=B&data[tags][]=x&data[tags][]=7&data[tags][]=`},
		{`{"l":[{"a":1,"b":[2]},[3,[4]],5]}`, `l[0][a]=1&l[0][b][]=2&l[1][]=3&l[1][1][]=4&l[]=5`},
		{`{"none":[],"nothing":{},"in":[[],{}]}`, `none=&nothing=&in[0]=&in[1]=`},
		{`{"n":12345678901234567890.10,"e":1e400}`, `n=12345678901234567890.10&e=1e400`},
		{`null`, `data=`}, {`7`, `data=7`}, {`["a","b"]`, `data[]=a&data[]=b`}, {`{}`, ``},
		{`{"":1,"[]":2}`, `=1&%5B%5D=2`},
	} {
		got, err := appendForm(nil, []byte(c[0]))
		want := strings.NewReplacer("[", "%5B", "]", "%5D").Replace(c[1])
		if err != nil || string(got) != want {
			t.Errorf("%s: %v\n got %s\nwant %s", c[0], err, got, want)
		}
	}
}

// TestFormsAreBounded: some kilobytes of data cannot become gigabytes.
func TestFormsAreBounded(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, formDepth-1)
	ends := strings.Repeat("}", formDepth-1)
	if got, err := appendForm(nil, []byte(deep+"1"+ends)); err != nil || bytes.Count(got, []byte("%5Ba%5D")) != formDepth-2 {
		t.Errorf("%d levels: %v", formDepth, err)
	}
	if _, err := appendForm(nil, []byte(`{"a":{"a":`+deep+"1"+ends+"}}")); err == nil || !strings.Contains(err.Error(), "nests deeper than 500 levels") {
		t.Errorf("too deep: %v", err)
	}
	wide := deep + "[" + strings.Repeat("1,", 5000) + "1]" + ends
	if got, err := appendForm(nil, []byte(wide)); err == nil || len(got) > formGrowth*len(wide)+formSpare {
		t.Errorf("%d bytes became %d: %v", len(wide), len(got), err)
	}
	list := `{"data":{"settings":{"values":[` + strings.Repeat("1,", 5000) + `1]}}}`
	if _, err := appendForm(nil, []byte(list)); err != nil {
		t.Errorf("a long list: %v", err)
	}
}

// flat are the names and values of a document, found in another way.
func flat(dst []parameter, name string, v any) []parameter {
	switch v := v.(type) {
	case ordered:
		if len(v) == 0 {
			return append(dst, parameter{name, ""})
		}
		for _, m := range v {
			dst = flat(dst, name+"["+m.name+"]", m.value)
		}
		return dst
	case []any:
		if len(v) == 0 {
			return append(dst, parameter{name, ""})
		}
		for i, x := range v {
			at := name + "[]"
			switch x.(type) {
			case ordered, []any:
				at = name + "[" + strconv.Itoa(i) + "]"
			}
			dst = flat(dst, at, x)
		}
		return dst
	case nil:
		return append(dst, parameter{name, ""})
	case string:
		return append(dst, parameter{name, v})
	}
	return append(dst, parameter{name, fmt.Sprint(v)})
}

type ordered []struct {
	name  string
	value any
}

func (o *ordered) read(d *json.Decoder) error {
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		v, err := document(raw)
		if err != nil {
			return err
		}
		*o = append(*o, struct {
			name  string
			value any
		}{name.(string), v})
	}
	return nil
}

func document(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	switch bytes.TrimSpace(raw)[0] {
	case '{':
		var o ordered
		_, _ = d.Token()
		return o, o.read(d)
	case '[':
		var list []json.RawMessage
		if err := d.Decode(&list); err != nil {
			return nil, err
		}
		out := make([]any, len(list))
		for i := range list {
			v, err := document(list[i])
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	}
	var v any
	err := d.Decode(&v)
	return v, err
}

// FuzzForm decodes what is written and compares it with the document: names, values, order, and the digits of numbers.
func FuzzForm(f *testing.F) {
	for _, ev := range goldenEvents() {
		f.Add(string(ev.Data))
	}
	f.Add(`{"":{"":""}}`)
	f.Add(`{"a":[1e5,{"b":[[],{}]}],"&=+%[]":"&=+% \u0000\ud800","":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) || len(text) > 10_000 {
			return
		}
		got, err := appendForm(nil, []byte(text))
		if err != nil {
			return // its bounds
		}
		v, err := document([]byte(text))
		if err != nil {
			return // deeper than encoding/json reads
		}
		var want []parameter
		if o, ok := v.(ordered); ok {
			for _, m := range o {
				want = flat(want, m.name, m.value)
			}
		} else {
			want = flat(nil, "data", v)
		}
		if read := parametersOf(string(got)); !slices.Equal(read, want) {
			t.Errorf("%s\n got %q\nwant %q", text, read, want)
		}
		values, err := url.ParseQuery(string(got))
		if err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		n := 0
		for _, v := range values {
			n += len(v)
		}
		if n != len(want) {
			t.Errorf("net/url reads %d values, there are %d", n, len(want))
		}
	})
}
