package cdc

import (
	"fmt"

	"github.com/rowhook/rowhook/internal/finding"
)

// OldMinorCode names, in a status, that the server is older than the minor release that OldMinor tells of.
const OldMinorCode = "old_minor_release"

// mendedMinors are the releases that keep both of what went wrong around DDL before: rows that a logical slot was not sent where a publication
// or a table was altered while transactions were open, and, in the first releases that mended this, memory that grew until the server
// refused to decode.
// https://www.postgresql.org/docs/release/17.6/
var mendedMinors = map[int]int{14: 19, 15: 14, 16: 10, 17: 6}

// OldMinor is the warning that a server, by its server_version_num, is older than the release of its version from which on altering tables and
// publications loses no rows; nil where it is not.
func OldMinor(version int) *finding.Finding {
	major, minor := version/10000, version%10000
	mended, known := mendedMinors[major]
	if !known || minor >= mended {
		return nil
	}
	return &finding.Finding{Level: finding.Warning, Place: "server",
		What:        fmt.Sprintf("Postgres %d.%d has faults in logical decoding that %d.%d mends", major, minor, major, mended),
		Consequence: "changes may be missing where a table or the publication is altered while transactions are open: they are never sent, and nothing tells of it",
		Mend:        fmt.Sprintf("install the newest minor release of Postgres %d and restart the server: no data is converted, and the slot stays", major)}
}
