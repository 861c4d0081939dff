package mapping

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"

	"github.com/rowhook/rowhook/cdc"
)

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// identifier makes the ids of events. The zero value hashes an empty lineage.
type identifier struct {
	lineage string
	buf     []byte
}

// id hashes what names an event and nothing that a changed config would change. Texts are hashed with their lengths, so
// that no two events have the same bytes.
func (i *identifier) id(tx *cdc.Tx, ordinal uint32, event, instance string) string {
	b := i.buf[:0]
	b = binary.AppendUvarint(b, uint64(len(i.lineage)))
	b = append(b, i.lineage...)
	b = binary.BigEndian.AppendUint64(b, uint64(tx.Commit))
	b = binary.BigEndian.AppendUint64(b, uint64(tx.Time.UnixMicro()))
	b = binary.BigEndian.AppendUint32(b, tx.XID)
	b = binary.BigEndian.AppendUint32(b, ordinal)
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
