package app

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"github.com/rowhook/rowhook/cdc"
)

// filler puts values into changes that the stream did not send: large ones (TOAST) that an update did not touch, where
// the mapping needs them and the old row does not have them. They are those of an earlier change of the row in the same
// block, else they are read as they are now. It belongs to the source's goroutine.
//
// A batch that has none costs a look at a flag of each change; one whose block goes on in the next batch also a look at
// the sizes of the values that are mapped.
type filler struct {
	rows *cdc.RowReader
	// columns are those that the mapping uses, accounts those of them that say whose a row is.
	columns, accounts func(*cdc.Change) []int

	earlier block
	txs     []*cdc.Tx
	gaps    []gap
	// next is the first gap that is not filled, filled the first one of the part.
	next, filled int
}

// gap is what a change lacks.
type gap struct {
	// change is its index in the batch.
	change  int
	columns []int
	// values are as many, and Unchanged as long as they are not known.
	values cdc.Row
	// request is set as long as there is something to read: the columns, and behind them those of the account, which owner
	// has as they are in the change.
	request *cdc.RowRequest
	owner   cdc.Row
}

// partBytes bounds what is filled in at once: the values of a batch's rows may be much larger than the batch.
const partBytes = 4 << 20

// plan finds what the changes of the batch lack, if anybody wants to know.
func (f *filler) plan(b *cdc.Batch, wanted bool) {
	f.gaps, f.txs, f.next, f.filled = f.gaps[:0], f.txs[:0], 0, 0
	if !wanted || !b.Open && !f.lacking(b) {
		f.earlier.reset(nil, 0)
		return
	}
	for i := range b.Changes {
		c := &b.Changes[i]
		f.earlier.reset(c.Tx, c.Block)
		if c.Relation == nil {
			continue
		}
		if c.Unchanged {
			if columns := f.lacks(c); len(columns) > 0 {
				f.gaps = append(f.gaps, f.gap(i, c, columns))
			}
		}
		f.earlier.note(c, f.columns(c))
	}
	if len(f.gaps) > 0 {
		for i := range b.Changes {
			if tx := b.Changes[i].Tx; len(f.txs) == 0 || f.txs[len(f.txs)-1] != tx {
				f.txs = append(f.txs, tx)
			}
		}
	}
}

// lacking says whether a change of the batch lacks something.
func (f *filler) lacking(b *cdc.Batch) bool {
	for i := range b.Changes {
		if c := &b.Changes[i]; c.Unchanged && len(f.lacks(c)) > 0 {
			return true
		}
	}
	return false
}

// lacks are the columns that the mapping uses and the change does not tell, ascending.
func (f *filler) lacks(c *cdc.Change) []int {
	var lacks []int
	for _, i := range f.columns(c) {
		if i < len(c.New) && c.New[i].Kind == cdc.Unchanged && !known(c.Old, i) {
			lacks = append(lacks, i)
		}
	}
	slices.Sort(lacks)
	return lacks
}

func known(row cdc.Row, i int) bool {
	return i < len(row) && (row[i].Kind == cdc.Text || row[i].Kind == cdc.Null)
}

func (f *filler) gap(i int, c *cdc.Change, columns []int) gap {
	g := gap{change: i, columns: columns, values: make(cdc.Row, len(columns))}
	missing := false
	for n, column := range columns {
		g.values[n] = f.earlier.value(c, column)
		missing = missing || g.values[n].Kind == cdc.Unchanged
	}
	if !missing {
		return g
	}
	request := &cdc.RowRequest{Relation: c.Relation, Columns: slices.Clone(columns)}
	for _, i := range f.accounts(c) {
		if v := imageValue(c.New, c.Old, i); v.Kind == cdc.Text || v.Kind == cdc.Null {
			request.Columns, g.owner = append(request.Columns, i), append(g.owner, v)
		}
	}
	for _, k := range c.Relation.Key {
		v := imageValue(c.New, c.Old, k)
		if v.Kind != cdc.Text {
			return g // nobody knows which row it is
		}
		request.Key = append(request.Key, v.Data)
	}
	if len(request.Key) > 0 {
		g.request = request
	}
	return g
}

// imageValue is a value of a row, from the old one where the new one says that it has not changed.
func imageValue(row, old cdc.Row, i int) cdc.Value {
	if i < len(row) && row[i].Kind != cdc.Unchanged {
		return row[i]
	}
	if i < len(old) {
		return old[i]
	}
	return cdc.Value{}
}

// part fills the changes from where the last part ended, and returns the index after the last one that is ready: that of
// the batch's end, unless there is too much to have at once. What was filled before is let go. The error is the context's.
func (f *filler) part(ctx context.Context, b *cdc.Batch) (end int, err error) {
	f.release(b)
	size := 0
	for ; f.next < len(f.gaps); f.next++ {
		g := &f.gaps[f.next]
		if g.request != nil {
			if size > partBytes/2 {
				return g.change, nil
			}
			if err := f.read(ctx, partBytes-size); err != nil {
				return 0, err
			}
		}
		n := 0
		for _, v := range g.values {
			n += len(v.Data)
		}
		if f.next > f.filled && size+n > partBytes {
			return g.change, nil
		}
		size += n
		for i, column := range g.columns {
			b.Changes[g.change].New[column] = g.values[i]
		}
	}
	return len(b.Changes), nil
}

// release lets go of what the last part filled.
func (f *filler) release(b *cdc.Batch) {
	for ; f.filled < f.next; f.filled++ {
		g := &f.gaps[f.filled]
		for _, column := range g.columns {
			b.Changes[g.change].New[column] = cdc.Value{Kind: cdc.Unchanged}
		}
		*g = gap{}
	}
}

// read asks for all rows that are still to be read, and takes those that come: the first one is among them.
func (f *filler) read(ctx context.Context, maxBytes int) error {
	var requests []cdc.RowRequest
	var asked []*gap
	for i := f.next; i < len(f.gaps); i++ {
		if g := &f.gaps[i]; g.request != nil {
			requests, asked = append(requests, *g.request), append(asked, g)
		}
	}
	rows, err := f.rows.Read(ctx, f.txs, requests, maxBytes)
	if err != nil {
		return err
	}
	for i, row := range rows {
		g := asked[i]
		g.request = nil
		if !g.owns(row) {
			continue
		}
		for n, v := range row[:min(len(row), len(g.columns))] {
			if g.values[n].Kind == cdc.Unchanged && v.Kind != cdc.Absent {
				g.values[n] = v
			}
		}
	}
	return nil
}

// owns says whether a row that was read belongs to whom it belonged when the change was made. What another account has put
// into it since is not for this one.
func (g *gap) owns(row cdc.Row) bool {
	for i, was := range g.owner {
		n := len(g.columns) + i
		if n >= len(row) || row[n].Kind != was.Kind || !bytes.Equal(row[n].Data, was.Data) {
			return false
		}
	}
	return true
}

// block remembers the large values that changes of one block sent, for updates that come later in it. Blocks are the
// same when a transaction comes again, and so is what is found here.
type block struct {
	tx     *cdc.Tx
	number uint32
	rows   map[string]blockRow
	bytes  int
	key    []byte
}

type blockRow struct {
	relation *cdc.Relation
	values   map[int]cdc.Value
	bytes    int
}

const (
	// blockMemory bounds what is remembered, in bytes of the rows. What is beyond it is read.
	blockMemory = 4 << 20
	// largeValue is the least size of a text that is remembered. Postgres moves the largest values of a row out of it
	// until the rest has 2 kB; a smaller one among them is read.
	largeValue = 128
)

// reset forgets everything when another block begins.
func (k *block) reset(tx *cdc.Tx, number uint32) {
	if k.tx != tx || k.number != number {
		clear(k.rows)
		k.tx, k.number, k.bytes = tx, number, 0
	}
}

// value is what the row had in the column before an update that did not touch it; Unchanged where it is not known.
func (k *block) value(c *cdc.Change, column int) cdc.Value {
	if len(k.rows) > 0 {
		if row, ok := k.rows[k.rowKey(c, c.Old, c.New)]; ok && row.relation == c.Relation {
			if v, ok := row.values[column]; ok {
				return v
			}
		}
	}
	return cdc.Value{Kind: cdc.Unchanged}
}

// note takes what the change says of the columns.
func (k *block) note(c *cdc.Change, columns []int) {
	switch c.Op {
	case cdc.Truncate:
		clear(k.rows)
		k.bytes = 0
	case cdc.Delete:
		if len(k.rows) > 0 {
			k.forget(k.rowKey(c, c.Old, nil))
		}
	case cdc.Insert, cdc.Update:
		k.noteRow(c, columns)
	}
}

func (k *block) noteRow(c *cdc.Change, columns []int) {
	row := blockRow{relation: c.Relation}
	for _, i := range columns {
		if i >= len(c.New) {
			continue
		}
		v := c.New[i]
		if v.Kind == cdc.Unchanged {
			v = k.value(c, i)
		}
		if v.Kind == cdc.Text && len(v.Data) >= largeValue {
			if row.values == nil {
				row.values = make(map[int]cdc.Value, 1)
			}
			row.values[i] = v
		}
	}
	if row.values == nil && len(k.rows) == 0 {
		return
	}
	k.forget(k.rowKey(c, c.Old, c.New))
	key := k.rowKey(c, c.New, c.Old)
	k.forget(key)
	// A value keeps the whole row that it came with.
	for _, v := range c.New {
		row.bytes += len(v.Data)
	}
	for _, v := range row.values {
		row.bytes += len(v.Data)
	}
	if row.values == nil || key == "" || k.bytes+row.bytes > blockMemory {
		return
	}
	if k.rows == nil {
		k.rows = map[string]blockRow{}
	}
	k.rows[key] = row
	k.bytes += row.bytes
}

func (k *block) forget(key string) {
	if row, ok := k.rows[key]; ok {
		k.bytes -= row.bytes
		delete(k.rows, key)
	}
}

// rowKey is the table and the primary key of a row, each of whose values is taken from the first image that has it; empty
// where one is not known.
func (k *block) rowKey(c *cdc.Change, row, otherwise cdc.Row) string {
	k.key = binary.BigEndian.AppendUint32(k.key[:0], c.Relation.OID)
	for _, i := range c.Relation.Key {
		var v cdc.Value
		if i < len(row) && row[i].Kind == cdc.Text {
			v = row[i]
		} else if i < len(otherwise) && otherwise[i].Kind == cdc.Text {
			v = otherwise[i]
		} else {
			return ""
		}
		k.key = binary.BigEndian.AppendUint32(k.key, uint32(len(v.Data)))
		k.key = append(k.key, v.Data...)
	}
	return string(k.key)
}
