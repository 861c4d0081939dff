package watch

import (
	"bytes"
	"encoding/json"
	"strings"
)

// remembered is of how many instances the last data is kept, to show what an update changed.
const remembered = 2000

// changed is what of an update's data is not as it was in the last hook of the same instance, as {…"email":"new"…}; all
// of it where there was none, or nothing differs.
func (w *Watcher) changed(h Hook) []byte {
	_, verb, _ := strings.Cut(h.Message.Type, ".")
	key := h.Request.Path + " " + h.Instance
	before := w.last[key]
	if h.Instance == "" || verb == "delete" || verb == "truncate" {
		delete(w.last, key)
		return h.Message.Data
	}
	if before == nil && len(w.last) >= remembered {
		clear(w.last)
	}
	now := members(h.Message.Data)
	w.last[key] = now
	if verb != "update" || before == nil || now == nil {
		return h.Message.Data
	}
	out := []byte("{…")
	for _, m := range now {
		if old, ok := find(before, m.name); ok && bytes.Equal(old, m.value) || m.name == "updated_at" {
			continue
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			continue
		}
		out = append(append(append(append(out, name...), ':'), m.value...), ',')
	}
	if out[len(out)-1] != ',' {
		return h.Message.Data
	}
	return append(out[:len(out)-1], "…}"...)
}

// member is one of an object.
type member struct {
	name  string
	value json.RawMessage
}

// members are those of an object in their order; nil where it is none.
func members(data []byte) []member {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	var all []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil
		}
		m := member{name: name.(string)}
		if d.Decode(&m.value) != nil {
			return nil
		}
		all = append(all, m)
	}
	return all
}

func find(all []member, name string) (json.RawMessage, bool) {
	for _, m := range all {
		if m.name == name {
			return m.value, true
		}
	}
	return nil, false
}
