package store

import (
	"context"
	"encoding/binary"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhook/rowhook/mapping"
)

// beginCopy begins the transaction in the same round trip.
const beginCopy = `BEGIN; COPY event (position, committed_at, id, type, resource, instance, account, data, partial, previous, context, audience) FROM STDIN (FORMAT binary)`

const (
	// pgEpoch is 2000-01-01, from which Postgres counts, in microseconds since 1970.
	pgEpoch = 946_684_800_000_000
	oidText = 25
)

// copyEvents begins a transaction and adds events, in one round trip. On pgx's CopyFrom, which asks for the columns' types
// each time, it takes two.
func copyEvents(ctx context.Context, conn *pgconn.PgConn, events []*mapping.Event) error {
	_, err := conn.CopyFrom(ctx, &copied{events: events}, beginCopy)
	return err
}

// copied are events in the binary format of COPY (https://www.postgresql.org/docs/current/sql-copy.html), written as they
// are read, one by one: all bodies of a batch at once would be as much again as the memory for what is under way.
type copied struct {
	events []*mapping.Event
	begun  bool
	ended  bool
	// row is what is left of what was written last, in buffer.
	row, buffer []byte
}

// copyChunk is how much is written at once, at least, in bytes.
const copyChunk = 16 << 10

func (c *copied) Read(p []byte) (int, error) {
	if len(c.row) == 0 {
		if c.ended {
			return 0, io.EOF
		}
		c.write()
	}
	n := copy(p, c.row)
	c.row = c.row[n:]
	return n, nil
}

// write writes what comes next.
func (c *copied) write() {
	dst := c.buffer[:0]
	if !c.begun {
		c.begun = true
		dst = append(dst, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	}
	for len(c.events) > 0 && len(dst) < copyChunk {
		dst = appendEvent(dst, c.events[0])
		c.events = c.events[1:]
	}
	if len(c.events) == 0 {
		c.ended = true
		dst = append(dst, 0xff, 0xff)
	}
	c.row, c.buffer = dst, dst
}

// appendEvent writes a row.
func appendEvent(dst []byte, ev *mapping.Event) []byte {
	dst = binary.BigEndian.AppendUint16(dst, 12)
	position := ev.Position.Bytes()
	dst = appendField(dst, position[:])
	dst = binary.BigEndian.AppendUint32(dst, 8)
	dst = binary.BigEndian.AppendUint64(dst, uint64(ev.Time.UnixMicro()-pgEpoch))
	dst = appendField(dst, ev.ID)
	dst = appendField(dst, ev.Type)
	dst = appendField(dst, ev.Resource)
	dst = appendField(dst, ev.Instance)
	if ev.Accounted {
		dst = appendField(dst, ev.Account)
	} else {
		dst = appendNull(dst)
	}
	dst = appendField(dst, ev.Data)
	dst = appendTexts(dst, ev.Partial)
	dst = appendBytes(dst, ev.Previous)
	dst = appendBytes(dst, ev.Context)
	if ev.Audience == mapping.ToAll {
		return appendNull(dst)
	}
	return appendField(dst, ev.Audience.String())
}

// audienceOrNull is what the column holds: null where the event is for everybody who may see its account.
func audienceOrNull(a mapping.Audience) any {
	if a == mapping.ToAll {
		return nil
	}
	return a.String()
}

// appendBytes writes a bytea, null when it is nil.
func appendBytes(dst, value []byte) []byte {
	if value == nil {
		return appendNull(dst)
	}
	return appendField(dst, value)
}

func appendField[T string | []byte](dst []byte, value T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
	return append(dst, value...)
}

func appendNull(dst []byte) []byte { return append(dst, 0xff, 0xff, 0xff, 0xff) }

// appendTexts writes a text[], null when it is nil.
func appendTexts(dst []byte, texts []string) []byte {
	if texts == nil {
		return appendNull(dst)
	}
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dimensions := min(len(texts), 1)
	dst = binary.BigEndian.AppendUint32(dst, uint32(dimensions))
	dst = binary.BigEndian.AppendUint32(dst, 0) // no nulls
	dst = binary.BigEndian.AppendUint32(dst, oidText)
	if dimensions > 0 {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(texts)))
		dst = binary.BigEndian.AppendUint32(dst, 1) // the first index
	}
	for _, text := range texts {
		dst = appendField(dst, text)
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// queueEvents inserts those that are not there.
func (r *rows) queueEvents(b *pgx.Batch) {
	for _, ev := range r.events {
		var account any
		if ev.Accounted {
			account = ev.Account
		}
		b.Queue(`INSERT INTO event (position, committed_at, id, type, resource, instance, account, data, partial, previous, context, audience)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`,
			bytesOf(ev.Position), ev.Time, ev.ID, ev.Type, ev.Resource, ev.Instance, account, ev.Data, ev.Partial, ev.Previous, ev.Context, audienceOrNull(ev.Audience))
	}
}
