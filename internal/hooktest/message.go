package hooktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A Message is the body of a webhook in the standard or the thin format, or one of a batch. Fields that are not there
// are zero.
type Message struct {
	ID        string          `json:"id"`          // in a batch: the event's; thin: the instance's; else empty, see Request.ID
	Resource  string          `json:"resource_id"` // thin, in a batch: the instance's
	Type      string          `json:"type"`
	Timestamp string          `json:"timestamp"` // of the commit, as sent
	Position  string          `json:"position"`
	Data      json.RawMessage `json:"data"`
	Previous  json.RawMessage `json:"previous"`
	Context   json.RawMessage `json:"context"`
	Partial   []string        `json:"partial"`
	Backfill  bool            `json:"backfill"`
}

// decoded is what a body says, found when somebody first asks: who waits asks of every request again after each arrival.
type decoded struct {
	body     []byte
	messages func() ([]Message, error)
	instance func() string
}

// decoded is what the body says that the request has now: who unpacks one sets another.
func (r Request) decoded() *decoded {
	if d := r.says; d != nil && len(d.body) == len(r.Body) && (len(r.Body) == 0 || &d.body[0] == &r.Body[0]) {
		return d
	}
	d := &decoded{body: r.Body, messages: sync.OnceValues(r.decode)}
	d.instance = sync.OnceValue(func() string {
		var m Message
		if messages, err := d.messages(); err == nil && len(messages) == 1 {
			m = messages[0]
		}
		if m.Type == "" {
			m.Type = r.Type
		}
		return m.Instance()
	})
	return d
}

// Messages are the messages in the body: one, or all of a batch.
func (r Request) Messages() ([]Message, error) {
	messages, err := r.decoded().messages()
	return slices.Clone(messages), err
}

func (r Request) decode() ([]Message, error) {
	if body := bytes.TrimSpace(r.Body); len(body) > 0 && body[0] == '[' {
		var batch []Message
		if err := json.Unmarshal(body, &batch); err != nil {
			return nil, fmt.Errorf("decode the batch of request %d: %w", r.Number, err)
		}
		return batch, nil
	}
	var one Message
	if err := json.Unmarshal(r.Body, &one); err != nil {
		return nil, fmt.Errorf("decode the body of request %d: %w", r.Number, err)
	}
	return []Message{one}, nil
}

// Split are the messages of batches as if each had come alone, with the id and the position of its event. Requests that are no
// batch stay as they are, and so does the order.
func Split(requests []Request) []Request {
	var all []Request
	for _, r := range requests {
		body := bytes.TrimSpace(r.Body)
		var raw []json.RawMessage
		if len(body) == 0 || body[0] != '[' || json.Unmarshal(body, &raw) != nil {
			all = append(all, r)
			continue
		}
		for _, one := range raw {
			x := r
			x.Body = one
			var m Message
			if json.Unmarshal(one, &m) == nil {
				x.ID, x.Type, x.Position = m.ID, m.Type, m.Position
			}
			x.says = x.decoded()
			all = append(all, x)
		}
	}
	return all
}

// Message is the only message in the body. It is the zero Message if there is none, or a batch.
func (r Request) Message() Message {
	messages, err := r.Messages()
	if err != nil || len(messages) != 1 {
		return Message{}
	}
	return messages[0]
}

// Data is the representation in the body, nil if there is none.
func (r Request) Data() json.RawMessage { return r.Message().Data }

// Instance names the instance that the request is about, as "contact/42": the event's resource and data.id, or id in
// the thin format. It is empty if that cannot be told.
func (r Request) Instance() string { return r.decoded().instance() }

// Instance names the instance that the message is about; see [Request.Instance].
func (m Message) Instance() string {
	resource, _, ok := strings.Cut(m.Type, ".")
	if !ok {
		return ""
	}
	id := m.ID
	if m.Resource != "" {
		id = m.Resource
	}
	if len(m.Data) > 0 {
		var data struct {
			ID json.RawMessage `json:"id"`
		}
		if json.Unmarshal(m.Data, &data) != nil {
			return ""
		}
		id = strings.Trim(string(data.ID), `"`) // a number keeps its digits
	}
	if id == "" || id == "null" {
		return ""
	}
	return resource + "/" + id
}
