package mapping

import (
	"encoding/binary"

	"github.com/rowhook/rowhook/cdc"
)

// BackfilledFrom is the first sub-position of events that backfills make, at the place of a message of their own: no other events
// stand there, and these are known by it.
const BackfilledFrom = 0xF0000000

// Backfilled says that the event tells of a row that was there, not of a change.
func (e *Event) Backfilled() bool {
	return e.Position.Sub >= BackfilledFrom && e.Resource != NoticeResource && e.Resource != SubscriptionResource
}

// BackfilledID is the id of the event that a job's backfill makes of an instance, however often it does.
func (m *Mapper) BackfilledID(job, resource, instance string) string {
	i := identifier{}
	for _, text := range []string{m.ids.lineage, "backfill", job} {
		i.buf = binary.AppendUvarint(i.buf, uint64(len(text)))
		i.buf = append(i.buf, text...)
	}
	return i.end(resource+".create", instance)
}

// InstanceOf is the instance's name by the text of its key.
func InstanceOf(key [][]byte) string { return (&Target{}).Instance(key) }

// Backfiller makes the resource's create events of rows as they are. It may be called while Map runs, and what it returns used so.
func (m *Mapper) Backfiller(resource string) (*Sampler, error) {
	s, err := m.Sampler(resource + ".create")
	if err != nil {
		return nil, err
	}
	t := s.p.table
	s.p.relation = &cdc.Relation{OID: t.OID, Table: t.TableName, Columns: t.Columns, Key: t.Key, Identity: t.Identity}
	return s, nil
}

// Columns are those of the table that the event of a row is made of.
func (s *Sampler) Columns() []int { return s.p.columnsOf(nil) }
