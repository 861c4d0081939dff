package mapping

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/coalesce"
)

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// identifier makes the ids of events. The zero value hashes an empty lineage.
type identifier struct {
	lineage string
	buf     []byte
}

// id hashes what names an event of one change and nothing that a changed config would change. Texts are hashed with
// their lengths, so that no two events have the same bytes.
func (i *identifier) id(tx *cdc.Tx, ordinal uint32, event, instance string) string {
	i.begin(tx)
	i.buf = binary.BigEndian.AppendUint32(i.buf, ordinal)
	return i.end(event, instance)
}

// netID is the id of an event of a net change: the block stands in the place of the ordinal, which is never 0.
func (i *identifier) netID(tx *cdc.Tx, block uint32, p coalesce.Place, event, instance string) string {
	i.begin(tx)
	i.buf = binary.BigEndian.AppendUint32(i.buf, 0)
	i.buf = binary.BigEndian.AppendUint32(i.buf, block)
	i.buf = binary.BigEndian.AppendUint32(i.buf, p.From)
	i.buf = binary.BigEndian.AppendUint32(i.buf, p.Cut)
	return i.end(event, instance)
}

func (i *identifier) begin(tx *cdc.Tx) {
	b := i.buf[:0]
	b = binary.AppendUvarint(b, uint64(len(i.lineage)))
	b = append(b, i.lineage...)
	b = binary.BigEndian.AppendUint64(b, uint64(tx.Commit))
	b = binary.BigEndian.AppendUint64(b, uint64(tx.Time.UnixMicro()))
	i.buf = binary.BigEndian.AppendUint32(b, tx.XID)
}

func (i *identifier) end(event, instance string) string {
	b := i.buf
	b = binary.AppendUvarint(b, uint64(len(event)))
	b = append(b, event...)
	b = binary.AppendUvarint(b, uint64(len(instance)))
	b = append(b, instance...)
	i.buf = b
	sum := sha256.Sum256(b)
	var id [4 + 26]byte
	copy(id[:], "evt_")
	idEncoding.Encode(id[4:], sum[:16])
	return string(id[:])
}
