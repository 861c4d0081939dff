package sender

import (
	"bytes"
	"encoding/json"
	"slices"
)

// member is a member of a JSON object; its value is as it was written, or members of its own.
type member struct {
	name  string
	value []byte
	inner members
}

// members are those of a JSON object, in its order.
type members []member

// membersOf reads an object; false for anything else.
func membersOf(object []byte) (members, bool) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	out := members{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, false
		}
		text, ok := name.(string)
		var value json.RawMessage
		if !ok || d.Decode(&value) != nil {
			return nil, false
		}
		out = append(out, member{name: text, value: value})
	}
	_, err := d.Token()
	return out, err == nil
}

func (ms members) find(name string) int {
	return slices.IndexFunc(ms, func(m member) bool { return m.name == name })
}

// opened is the member with members of its own, where its value is an object.
func (m member) opened() (members, bool) {
	if m.inner != nil {
		return m.inner, true
	}
	return membersOf(m.value)
}

// with adds what later has beside. What is in both stays, but where nested says that it is made of members: then theirs do.
func (ms members) with(later members, path []string, nested func([]string) bool) members {
	for _, l := range later {
		at := append(slices.Clip(path), l.name)
		i := ms.find(l.name)
		if i < 0 {
			ms = append(ms, l)
			continue
		}
		if !nested(at) {
			continue
		}
		mine, ok := ms[i].opened()
		theirs, also := l.opened()
		if ok && also {
			ms[i].inner = mine.with(theirs, at, nested)
		}
	}
	return ms
}

// without leaves out what is the same in now.
func (ms members) without(now members, path []string, nested func([]string) bool) members {
	left := members{}
	for _, m := range ms {
		i := now.find(m.name)
		if i < 0 {
			left = append(left, m)
			continue
		}
		at := append(slices.Clip(path), m.name)
		if nested(at) {
			mine, ok := m.opened()
			theirs, also := now[i].opened()
			if ok && also {
				if m.inner = mine.without(theirs, at, nested); len(m.inner) > 0 {
					left = append(left, m)
				}
				continue
			}
		}
		if m.inner != nil || !bytes.Equal(m.value, now[i].value) {
			left = append(left, m)
		}
	}
	return left
}

// append writes the object.
func (ms members) append(dst []byte) []byte {
	dst = append(dst, '{')
	for i, m := range ms {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendName(dst, m.name)
		dst = append(dst, ':')
		if m.inner != nil {
			dst = m.inner.append(dst)
		} else {
			dst = append(dst, m.value...)
		}
	}
	return append(dst, '}')
}

func appendName(dst []byte, name string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(name) // a text always encodes
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
