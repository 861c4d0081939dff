package mapping

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/shopspring/decimal"
)

// maxFilterDigits is how many digits of a number filters take exactly. A longer one is a float to them.
const maxFilterDigits = 1000

// maxFilterDepth bounds the nesting of what a filter looks at.
const maxFilterDepth = 1000

var errNoJSON = errors.New("no JSON")

// jsonReader reads JSON as filters compute with it: integers of 64 bits, all other numbers exactly.
type jsonReader struct {
	src   []byte
	at    int
	depth int
}

func readFilterValue(src []byte) (any, error) {
	r := jsonReader{src: src}
	v, err := r.value()
	if err == nil && r.space() != 0 {
		err = errNoJSON
	}
	return v, err
}

// space skips white space, and returns the byte after it, 0 at the end.
func (r *jsonReader) space() byte {
	for ; r.at < len(r.src); r.at++ {
		switch c := r.src[r.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (r *jsonReader) value() (any, error) {
	switch c := r.space(); c {
	case '"':
		return r.text()
	case '{':
		m := map[string]any{}
		err := r.members(func(quoted []byte) error {
			name, err := unquoted(quoted)
			if err != nil {
				return err
			}
			v, err := r.value()
			m[name] = v
			return err
		})
		return m, err
	case '[':
		return r.list()
	case 'n':
		return nil, r.word("null")
	case 't':
		return true, r.word("true")
	case 'f':
		return false, r.word("false")
	}
	start := r.at
	for r.at < len(r.src) && bytes.IndexByte([]byte("+-.0123456789eE"), r.src[r.at]) >= 0 {
		r.at++
	}
	return readFilterNumber(r.src[start:r.at])
}

func readFilterNumber(src []byte) (any, error) {
	if !validNumber(src) {
		return nil, errNoJSON
	}
	if i, err := strconv.ParseInt(string(src), 10, 64); err == nil {
		return i, nil
	}
	// An exponent could stand for any number of zeros.
	if len(src) <= maxFilterDigits && !bytes.ContainsAny(src, "eE") {
		if d, err := decimal.NewFromString(string(src)); err == nil {
			return d, nil
		}
	}
	f, err := strconv.ParseFloat(string(src), 64)
	if err != nil {
		return nil, nil // beyond what a float holds: as infinite as those that are null
	}
	return f, nil
}

func (r *jsonReader) word(word string) error {
	if !bytes.HasPrefix(r.src[r.at:], []byte(word)) {
		return errNoJSON
	}
	r.at += len(word)
	return nil
}

// quoted is a string with its quotes.
func (r *jsonReader) quoted() ([]byte, error) {
	start := r.at
	for r.at++; r.at < len(r.src); r.at++ {
		switch r.src[r.at] {
		case '\\':
			r.at++
		case '"':
			r.at++
			return r.src[start:r.at], nil
		}
	}
	return nil, errNoJSON
}

func (r *jsonReader) text() (string, error) {
	q, err := r.quoted()
	if err != nil {
		return "", err
	}
	return unquoted(q)
}

func unquoted(q []byte) (string, error) {
	if bytes.IndexByte(q, '\\') < 0 {
		return string(q[1 : len(q)-1]), nil
	}
	var s string
	err := json.Unmarshal(q, &s)
	return s, err
}

func (r *jsonReader) list() (any, error) {
	if r.depth++; r.depth > maxFilterDepth {
		return nil, errNoJSON
	}
	defer func() { r.depth-- }()
	list := []any{}
	r.at++
	if r.space() == ']' {
		r.at++
		return list, nil
	}
	for {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		c := r.space()
		r.at++
		switch c {
		case ']':
			return list, nil
		case ',':
		default:
			return nil, errNoJSON
		}
	}
}

// members calls f with the name of each member of the object that begins here, in its quotes, at the value, which f reads.
func (r *jsonReader) members(f func(quoted []byte) error) error {
	if r.depth++; r.depth > maxFilterDepth {
		return errNoJSON
	}
	defer func() { r.depth-- }()
	r.at++
	if r.space() == '}' {
		r.at++
		return nil
	}
	for {
		if r.space() != '"' {
			return errNoJSON
		}
		name, err := r.quoted()
		if err != nil {
			return err
		}
		if r.space() != ':' {
			return errNoJSON
		}
		r.at++
		r.space()
		if err := f(name); err != nil {
			return err
		}
		c := r.space()
		r.at++
		switch c {
		case '}':
			return nil
		case ',':
		default:
			return errNoJSON
		}
	}
}

// skip passes over a value without looking at what it is made of.
func (r *jsonReader) skip() error {
	depth := 0
	for {
		switch c := r.space(); c {
		case 0:
			return errNoJSON
		case '"':
			if _, err := r.quoted(); err != nil {
				return err
			}
		case '{', '[':
			depth++
			r.at++
			continue
		case '}', ']':
			depth--
			r.at++
		case ',', ':':
			r.at++
			continue
		default:
			for r.at < len(r.src) && bytes.IndexByte([]byte(",:{}[]\" \t\n\r"), r.src[r.at]) < 0 {
				r.at++
			}
		}
		if depth <= 0 {
			return nil
		}
	}
}
