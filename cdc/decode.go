package cdc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jackc/pglogrepl"
)

// rowMessage is an Insert, Update or Delete of pgoutput.
// https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
type rowMessage struct {
	op       Op
	relation uint32
	old, new Row
	oldWhole bool
	// unchanged says that new has values that were not sent.
	unchanged bool
	// raw is the message itself.
	raw []byte
}

// ignored is a message that carries nothing for us: Origin, Type, and a stray Stream Abort, which some servers send
// without a stream.
type ignored struct{}

// decode turns the payload of a pgoutput message (protocol 1, text) into a *rowMessage, one of pglogrepl's messages, or
// ignored. No input makes it panic or allocate more than a small multiple of its size. What it returns does not refer
// to data.
//
// Rows are decoded here and not by pglogrepl: its tuples cost an allocation per column, and it trusts every length.
func decode(data []byte) (any, error) {
	if len(data) == 0 {
		return nil, errors.New("empty message")
	}
	switch data[0] {
	case 'I', 'U', 'D':
		m, err := decodeRow(data)
		if err != nil {
			return nil, unreadable(data, err)
		}
		return m, nil
	case 'Y', 'O', 'A':
		return ignored{}, nil
	}
	m, err := parseGuarded(data)
	if err != nil {
		return nil, unreadable(data, err)
	}
	if lm, ok := m.(*pglogrepl.LogicalDecodingMessage); ok {
		// It refers to the connection's read buffer, which the next message overwrites.
		lm.Content = append([]byte(nil), lm.Content...)
	}
	return m, nil
}

// unreadable tells a message by its type and size: its bytes are row data, which must not reach a log.
func unreadable(data []byte, err error) error {
	return fmt.Errorf("decode message of type %q, %d bytes: %w", data[:1], len(data), err)
}

// parseGuarded is pglogrepl's parser for messages whose lengths it does not check itself.
func parseGuarded(data []byte) (m pglogrepl.Message, err error) {
	defer func() {
		if r := recover(); r != nil {
			m, err = nil, errors.New("cut short")
		}
	}()
	if data[0] == 'T' {
		// The number of relations is allocated before it is read.
		if len(data) < 6 || uint64(len(data)-6) < 4*uint64(binary.BigEndian.Uint32(data[1:])) {
			return nil, errors.New("cut short")
		}
	}
	return pglogrepl.Parse(data)
}

func decodeRow(data []byte) (*rowMessage, error) {
	if len(data) < 6 {
		return nil, errors.New("cut short")
	}
	// The only copy of the row: all its values are slices of it.
	return decodeOwned(append([]byte(nil), data...), nil)
}

// decodeOwned is decodeRow of bytes that stay as they are. Rows are taken from the room, if there is any.
func decodeOwned(data []byte, room *Room) (*rowMessage, error) {
	m := &rowMessage{relation: binary.BigEndian.Uint32(data[1:]), raw: data}
	rest := data[5:]
	var err error
	switch data[0] {
	case 'I':
		m.op = Insert
	case 'U':
		m.op = Update
	case 'D':
		m.op = Delete
	}
	if m.op != Insert && (rest[0] == 'K' || rest[0] == 'O') {
		m.oldWhole = rest[0] == 'O'
		if m.old, rest, err = decodeRowImage(rest[1:], m.oldWhole, room); err != nil {
			return nil, err
		}
	} else if m.op == Delete {
		return nil, errors.New("delete without a row")
	}
	if m.op != Delete {
		if len(rest) == 0 || rest[0] != 'N' {
			return nil, errors.New("no new row")
		}
		if m.new, rest, err = decodeRowImage(rest[1:], true, room); err != nil {
			return nil, err
		}
	}
	if m.op == Update {
		for i := range m.new {
			if m.new[i].Kind == Unchanged {
				m.unchanged = true
				break
			}
		}
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%d bytes too many", len(rest))
	}
	return m, nil
}

// decodeRowImage reads a TupleData. In an image that is not whole, null means that the stream does not say.
func decodeRowImage(data []byte, whole bool, room *Room) (Row, []byte, error) {
	if len(data) < 2 {
		return nil, nil, errors.New("cut short")
	}
	n := int(binary.BigEndian.Uint16(data))
	data = data[2:]
	if n > len(data) {
		return nil, nil, errors.New("cut short")
	}
	row := room.row(n)
	for i := range row {
		if len(data) == 0 {
			return nil, nil, errors.New("cut short")
		}
		kind := data[0]
		data = data[1:]
		switch kind {
		case 'n':
			if whole {
				row[i].Kind = Null
			}
		case 'u':
			row[i].Kind = Unchanged
		case 't':
			if len(data) < 4 {
				return nil, nil, errors.New("cut short")
			}
			size := uint64(binary.BigEndian.Uint32(data))
			data = data[4:]
			if size > uint64(len(data)) {
				return nil, nil, errors.New("cut short")
			}
			row[i] = Value{Kind: Text, Data: data[:size:size]}
			data = data[size:]
		default:
			return nil, nil, fmt.Errorf("value of kind %q", kind)
		}
	}
	return row, data, nil
}
