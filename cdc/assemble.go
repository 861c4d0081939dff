package cdc

import (
	"fmt"

	"github.com/jackc/pglogrepl"
)

// assembler numbers what the stream sends and gathers it into batches. It belongs to the stream's owner.
type assembler struct {
	session   uint64
	epoch     uint32
	ledger    *ledger
	relations map[uint32]*Relation
	// prefixes are those of the logical messages to keep.
	prefixes map[string]bool
	// loose is told of messages of these prefixes that are not transactional; nil if nobody wants to know.
	loose func(prefix string, at LSN)

	tx         *Tx
	ordinal    uint32
	block      uint32
	blockRows  int
	blockBytes int

	batch *Batch
	entry *entry
	// blockEnded says that the newest change is the last of its block.
	blockEnded bool
	// handedOpen says that the last batch that was handed over ends within a block whose end nobody has been told of.
	handedOpen bool
}

func newAssembler(session uint64, epoch uint32, l *ledger, prefixes []string) *assembler {
	a := &assembler{session: session, epoch: epoch, ledger: l, relations: map[uint32]*Relation{}, prefixes: map[string]bool{}}
	for _, p := range prefixes {
		a.prefixes[p] = true
	}
	return a
}

// full says that the batch must be handed on before anything more is taken.
func (a *assembler) full() bool {
	return a.batch != nil && (len(a.batch.Changes) >= BatchRows || a.batch.Bytes >= BatchBytes)
}

// whole says that there is a batch that ends with its last transaction. The rest of a transaction follows at once, so
// that one that is small is one batch.
func (a *assembler) whole() bool { return a.batch != nil && a.tx == nil }

// take hands the batch over, or nil when there is none.
func (a *assembler) take() (*Batch, *entry) {
	b, e := a.batch, a.entry
	if b != nil {
		n := len(b.Changes)
		b.Open = n > 0 && !a.blockEnded && b.Changes[n-1].Tx == a.tx && b.Changes[n-1].Block == a.block
		a.handedOpen = b.Open
	}
	a.batch, a.entry = nil, nil
	return b, e
}

// takeRest is take when nothing more will come: a block that is open ends here.
func (a *assembler) takeRest() (*Batch, *entry) {
	a.tellEnd()
	cut := a.handedOpen && a.tx != nil && len(a.batch.Changes) == 0
	b, e := a.take()
	if b != nil {
		b.Cut, b.Open, a.handedOpen = cut || b.Open, false, false
	}
	return b, e
}

// tellEnd makes a batch, if there is none, where somebody waits for the end of a block. It has an entry of its own,
// so that the transaction is not acknowledged before what came of the block is durable.
func (a *assembler) tellEnd() {
	if a.handedOpen && a.batch == nil {
		a.begin()
	}
}

func (a *assembler) begin() {
	a.batch = &Batch{Session: a.session, Epoch: a.epoch}
	a.entry = a.ledger.add()
}

// add takes one message of the stream; wal is the position of its XLogData.
func (a *assembler) add(wal LSN, data []byte) error {
	m, err := decode(data)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case ignored:
		return nil
	case *pglogrepl.BeginMessage:
		if a.tx != nil {
			return fmt.Errorf("transaction %d begins inside transaction %d", m.Xid, a.tx.XID)
		}
		a.tx = &Tx{Commit: m.FinalLSN, Time: m.CommitTime.UTC(), XID: m.Xid}
		a.ordinal, a.block, a.blockRows, a.blockBytes = 0, 0, 0, 0
		a.ledger.begin()
		return nil
	case *pglogrepl.CommitMessage:
		if a.tx == nil || m.CommitLSN != a.tx.Commit {
			return fmt.Errorf("commit at %s does not belong to the open transaction", m.CommitLSN)
		}
		at := a.tx.Time
		a.tellEnd()
		a.tx, a.blockEnded = nil, true
		a.ledger.commit(m.TransactionEndLSN, at)
		return nil
	case *pglogrepl.RelationMessage:
		a.relations[m.RelationID] = relationOf(m)
		return nil
	case *pglogrepl.LogicalDecodingMessage:
		return a.message(wal, m, len(data))
	}
	if a.tx == nil {
		return fmt.Errorf("%T outside a transaction", m)
	}
	switch m := m.(type) {
	case *rowMessage:
		return a.row(m, len(data))
	case *pglogrepl.TruncateMessage:
		for _, oid := range m.RelationIDs {
			rel := a.relations[oid]
			if rel == nil {
				return fmt.Errorf("truncate of relation %d, which was not described", oid)
			}
			a.count(len(data))
			a.append(Change{Op: Truncate, Relation: rel}, 0)
		}
		return nil
	}
	return fmt.Errorf("message %T is not known", m)
}

func (a *assembler) row(m *rowMessage, size int) error {
	rel := a.relations[m.relation]
	if rel == nil {
		return fmt.Errorf("%s in relation %d, which was not described", m.op, m.relation)
	}
	for _, row := range []Row{m.old, m.new} {
		if row != nil && len(row) != len(rel.Columns) {
			return fmt.Errorf("%s in %s has %d values for %d columns", m.op, rel.Table, len(row), len(rel.Columns))
		}
	}
	a.count(size)
	a.append(Change{Op: m.op, Relation: rel, New: m.new, Old: m.old, OldWhole: m.oldWhole, Unchanged: m.unchanged, raw: m.raw}, size)
	return nil
}

func (a *assembler) message(wal LSN, m *pglogrepl.LogicalDecodingMessage, size int) error {
	if !m.Transactional {
		// It is a unit of its own, sent when it is written, which may be inside the transaction that wrote it. None of
		// them means anything to us.
		if a.loose != nil && a.prefixes[m.Prefix] {
			a.loose(m.Prefix, wal)
		}
		a.ledger.keepalive(wal)
		return nil
	}
	if a.tx == nil {
		return fmt.Errorf("transactional message %q outside a transaction", m.Prefix)
	}
	a.count(size)
	if a.prefixes[m.Prefix] {
		a.append(Change{Op: Message, Prefix: m.Prefix, Content: m.Content}, size)
	}
	return nil
}

// count numbers a message, whatever becomes of it, so that the numbers depend on the stream alone.
func (a *assembler) count(size int) {
	if a.blockRows >= BlockRows || a.blockBytes >= BlockBytes {
		a.block++
		a.blockRows, a.blockBytes = 0, 0
	}
	a.ordinal++
	a.blockRows++
	a.blockBytes += size
	a.blockEnded = a.blockRows >= BlockRows || a.blockBytes >= BlockBytes
}

func (a *assembler) append(c Change, size int) {
	if a.batch == nil {
		a.begin()
	}
	c.Tx, c.Ordinal, c.Block = a.tx, a.ordinal, a.block
	a.batch.Changes = append(a.batch.Changes, c)
	a.batch.Bytes += size
}

// relationOf is the relation as the stream tells it. Types and key come from the catalog, later: see resolver.
func relationOf(m *pglogrepl.RelationMessage) *Relation {
	r := &Relation{
		OID:      m.RelationID,
		Table:    TableName{Schema: m.Namespace, Name: m.RelationName},
		Identity: IdentityKind(m.ReplicaIdentity),
		Columns:  make([]Column, len(m.Columns)),
	}
	if r.Table.Schema == "" {
		// pgoutput's way of saying pg_catalog.
		r.Table.Schema = "pg_catalog"
	}
	for i, c := range m.Columns {
		r.Columns[i] = Column{Name: c.Name, Type: &Type{OID: c.DataType}, Identity: c.Flags&1 != 0}
	}
	return r
}
