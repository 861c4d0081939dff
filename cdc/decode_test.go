package cdc

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/jackc/pglogrepl"
)

func tuple(values ...any) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			b = append(b, 'n')
		case string:
			b = append(b, 't')
			b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
			b = append(b, v...)
		case byte:
			b = append(b, v)
		}
	}
	return b
}

func message(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case byte:
			b = append(b, p)
		case rune:
			b = append(b, byte(p))
		case uint32:
			b = binary.BigEndian.AppendUint32(b, p)
		case uint64:
			b = binary.BigEndian.AppendUint64(b, p)
		case string:
			b = append(append(b, p...), 0)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

func TestDecodeRows(t *testing.T) {
	t.Parallel()
	data := message('U', uint32(7), 'K', tuple("1", nil), 'N', tuple("2", byte('u')))
	got, err := decode(data)
	if err != nil {
		t.Fatal(err)
	}
	m := got.(*rowMessage)
	for i := range data {
		data[i] = 'x' // what was decoded must not refer to the connection's buffer
	}
	if m.op != Update || m.relation != 7 || m.oldWhole || string(m.old[0].Data) != "1" || m.old[1].Kind != Absent ||
		string(m.new[0].Data) != "2" || m.new[1].Kind != Unchanged {
		t.Errorf("got %+v", m)
	}
	got, err = decode(message('D', uint32(7), 'O', tuple("1", nil)))
	if err != nil {
		t.Fatal(err)
	}
	if m = got.(*rowMessage); m.op != Delete || !m.oldWhole || m.old[1].Kind != Null || m.new != nil {
		t.Errorf("got %+v", m)
	}
}

func TestDecodeRefusesWithoutShowingValues(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"empty":            {},
		"no relation":      {'I', 0},
		"cut tuple":        message('I', uint32(1), 'N', tuple("hunter2")[:8]),
		"huge length":      message('I', uint32(1), 'N', []byte{0, 1, 't', 0xff, 0xff, 0xff, 0xff, 1}),
		"huge count":       message('I', uint32(1), 'N', []byte{0xff, 0xff, 'n'}),
		"binary":           message('I', uint32(1), 'N', []byte{0, 1, 'b', 0, 0, 0, 0}),
		"rest":             message('I', uint32(1), 'N', tuple("hunter2"), 'x'),
		"delete of new":    message('D', uint32(1), 'N', tuple("hunter2")),
		"update of old":    message('U', uint32(1), 'O', tuple("hunter2")),
		"cut relation":     message('R', uint32(1), "public", "contacts", 'd', []byte{0, 9}),
		"huge truncate":    message('T', []byte{0xff, 0xff, 0xff, 0xff}, []byte{0, 1, 2, 3, 4}),
		"unknown type":     {'?', 1, 2},
		"prepared":         {'b', 1, 2},
		"cut message":      message('M', byte(1), uint64(1), "p", []byte{0, 0, 9, 9}),
		"no room for size": message('M', byte(1), uint64(1), []byte("pppppppppp")),
	} {
		m, err := decode(data)
		if err == nil {
			t.Errorf("%s: decoded as %+v", name, m)
		} else if bytes.Contains([]byte(err.Error()), []byte("hunter2")) {
			t.Errorf("%s: error shows the row: %v", name, err)
		}
	}
}

// FuzzDecode shows that no input panics, and that rows are read as pglogrepl reads them wherever it can.
func FuzzDecode(f *testing.F) {
	f.Add(message('I', uint32(1), 'N', tuple("1", nil, byte('u'), "two")))
	f.Add(message('U', uint32(1), 'K', tuple("1", nil), 'N', tuple("2", byte('u'))))
	f.Add(message('U', uint32(1), 'O', tuple("1", nil), 'N', tuple("2", byte('u'))))
	f.Add(message('D', uint32(1), 'K', tuple("1", nil)))
	f.Add(message('B', uint64(1), uint64(2), uint32(3)))
	f.Add(message('C', byte(0), uint64(1), uint64(2), uint64(3)))
	f.Add(message('R', uint32(1), "public", "t", 'd', []byte{0, 1, 1}, "id", uint32(23), uint32(0)))
	f.Add(message('T', uint32(1), byte(3), uint32(9)))
	f.Add(message('M', byte(1), uint64(1), "rowhook", uint32(2), []byte("{}")))
	f.Add(message('Y', uint32(1), "public", "mood"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decode(data)
		row, isRow := m.(*rowMessage)
		if err != nil || !isRow {
			return
		}
		theirs, err := parseGuarded(data)
		if err != nil {
			if len(row.old) == 0 || len(row.new) == 0 {
				return // a table without columns is one, but too short for pglogrepl
			}
			t.Fatalf("we read %+v, pglogrepl says %v", row, err)
		}
		var oldTuple, newTuple *pglogrepl.TupleData
		switch x := theirs.(type) {
		case *pglogrepl.InsertMessage:
			newTuple = x.Tuple
		case *pglogrepl.UpdateMessage:
			oldTuple, newTuple = x.OldTuple, x.NewTuple
		case *pglogrepl.DeleteMessage:
			oldTuple = x.OldTuple
		}
		same(t, row.old, oldTuple)
		same(t, row.new, newTuple)
	})
}

func same(t *testing.T, ours Row, theirs *pglogrepl.TupleData) {
	t.Helper()
	if (ours == nil) != (theirs == nil) {
		t.Fatalf("ours %v, theirs %v", ours, theirs)
	}
	if theirs == nil {
		return
	}
	if len(ours) != len(theirs.Columns) {
		t.Fatalf("%d columns, theirs %d", len(ours), len(theirs.Columns))
	}
	for i, c := range theirs.Columns {
		switch v := ours[i]; v.Kind {
		case Text:
			if c.DataType != 't' || !bytes.Equal(v.Data, c.Data) {
				t.Fatalf("column %d: ours %v, theirs %v", i, v, c)
			}
		case Unchanged:
			if c.DataType != 'u' {
				t.Fatalf("column %d: ours %v, theirs %v", i, v, c)
			}
		default:
			if c.DataType != 'n' {
				t.Fatalf("column %d: ours %v, theirs %v", i, v, c)
			}
		}
	}
}

func TestAssemblerNumbersWhatTheStreamSends(t *testing.T) {
	t.Parallel()
	l := newLedger(1, 1<<62)
	a := newAssembler(3, 1, l, []string{"mine"})
	feed := func(data []byte) {
		t.Helper()
		if err := a.add(50, data); err != nil {
			t.Fatal(err)
		}
	}
	feed(message('B', uint64(100), uint64(0), uint32(9)))
	feed(message('R', uint32(1), "public", "t", 'd', []byte{0, 1, 1}, "id", uint32(23), uint32(0)))
	feed(message('I', uint32(1), 'N', tuple("1")))
	feed(message('M', byte(1), uint64(1), "theirs", uint32(0)))
	feed(message('M', byte(1), uint64(1), "mine", uint32(2), []byte("{}")))
	feed(message('T', uint32(1), byte(3), uint32(1)))
	feed(message('C', byte(0), uint64(100), uint64(120), uint64(0)))
	b, _ := a.take()
	want := []struct {
		op      Op
		ordinal uint32
	}{{Insert, 1}, {Message, 3}, {Truncate, 4}}
	if len(b.Changes) != len(want) || b.Open || b.Session != 3 {
		t.Fatalf("got %+v", b)
	}
	for i, w := range want {
		if c := b.Changes[i]; c.Op != w.op || c.Ordinal != w.ordinal || c.Tx.Commit != 100 || c.Tx.XID != 9 {
			t.Errorf("change %d is %v %d", i, c.Op, c.Ordinal)
		}
	}
	for name, data := range map[string][]byte{
		"row outside":    message('I', uint32(1), 'N', tuple("1")),
		"commit outside": message('C', byte(0), uint64(100), uint64(120), uint64(0)),
	} {
		if err := a.add(1, data); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	feed(message('B', uint64(200), uint64(0), uint32(10)))
	for name, data := range map[string][]byte{
		"other relation": message('I', uint32(2), 'N', tuple("1")),
		"wrong width":    message('I', uint32(1), 'N', tuple("1", "2")),
		"second begin":   message('B', uint64(200), uint64(0), uint32(10)),
		"other commit":   message('C', byte(0), uint64(201), uint64(220), uint64(0)),
	} {
		if err := a.add(1, data); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestAssemblerBlocks(t *testing.T) {
	t.Parallel()
	l := newLedger(1, 1<<62)
	a := newAssembler(1, 1, l, nil)
	if err := a.add(0, message('B', uint64(100), uint64(0), uint32(9))); err != nil {
		t.Fatal(err)
	}
	if err := a.add(0, message('R', uint32(1), "public", "t", 'd', []byte{0, 1, 1}, "id", uint32(23), uint32(0))); err != nil {
		t.Fatal(err)
	}
	row := message('I', uint32(1), 'N', tuple("1"))
	blocks := map[uint32]int{}
	for i := range BlockRows + 5 {
		if err := a.add(0, row); err != nil {
			t.Fatal(err)
		}
		if a.full() || i == BlockRows-1 {
			b, _ := a.take()
			if open := i != BlockRows-1; b.Open != open {
				t.Errorf("after %d rows Open is %v", i+1, b.Open)
			}
			for _, c := range b.Changes {
				blocks[c.Block]++
			}
		}
	}
	if b, _ := a.take(); b == nil || b.Changes[len(b.Changes)-1].Block != 1 {
		t.Error("the second block did not begin")
	}
	if blocks[0] != BlockRows {
		t.Errorf("first block has %d rows, want %d", blocks[0], BlockRows)
	}
}

func BenchmarkDecode(b *testing.B) {
	data := message('I', uint32(1), 'N', tuple("42", "7", "Ada", "Lovelace", "ada@example.com", "Main Street 1", "London",
		nil, "2026-11-22 01:00:00.123456+00"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
