package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// messagePrefix is the prefix of the logical messages by which the application speaks of its own transactions.
const messagePrefix = "rowhook"

// messageMax bounds what is taken of a message, in bytes: its context is stored and sent with every event of the transaction.
const messageMax = 4 << 10

// message is what the application says in a transaction.
type message struct {
	// mute is nil where it says nothing of that.
	mute *bool
	// context is what is sent with the events, compacted; nil for none, and where speaks is false, which says nothing of it.
	context []byte
	speaks  bool
	// source is that of the context, empty where it names none.
	source string
}

var (
	errNoObject = errors.New("it is no JSON object")
	errNoUTF8   = errors.New("it is not UTF-8")
	errMute     = errors.New("mute is neither true nor false")
	errTooLong  = fmt.Errorf("it has more than %d bytes", messageMax)
)

// parseMessage reads what was written with pg_logical_emit_message. Its errors are those above and quote nothing.
func parseMessage(content []byte) (message, error) {
	if len(content) > messageMax {
		return message{}, errTooLong
	}
	if !utf8.Valid(content) {
		return message{}, errNoUTF8
	}
	var compact bytes.Buffer
	if json.Compact(&compact, content) != nil || compact.Bytes()[0] != '{' {
		return message{}, errNoObject
	}
	var m message
	text := compact.Bytes()
	rest := append(make([]byte, 0, len(text)), '{')
	// The members are copied as they stand: numbers keep their digits, texts their escapes.
	d := json.NewDecoder(bytes.NewReader(text))
	_, _ = d.Token()
	for d.More() {
		from := d.InputOffset()
		if text[from] == ',' {
			from++
		}
		name, _ := d.Token()
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return message{}, errNoObject
		}
		if name == "source" {
			_ = json.Unmarshal(value, &m.source) // where it is no text, there is none
		}
		if name != "mute" {
			if len(rest) > 1 {
				rest = append(rest, ',')
			}
			rest = append(rest, text[from:d.InputOffset()]...)
			continue
		}
		mute := string(value) == "true"
		if !mute && string(value) != "false" {
			return message{}, errMute
		}
		m.mute = &mute
	}
	switch {
	case len(rest) > 1:
		m.context, m.speaks = append(rest, '}'), true
	case m.mute == nil:
		m.speaks = true // {} takes back what was said before
	}
	return m, nil
}
