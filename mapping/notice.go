package mapping

import (
	"time"

	"github.com/rowhook/rowhook/cdc"
)

// NoticeResource is the resource of events that rowhook itself has to tell. No resource of a config has this name.
const NoticeResource = "rowhook"

// NewNotice makes an event that no change made: what rowhook itself has to tell, at a position where no change stands
// (an ordinal of 0). Data is a JSON value. The id is a function of lineage, name, position and time.
func NewNotice(lineage, name string, at cdc.Position, when time.Time, data []byte) *Event {
	i := identifier{lineage: lineage}
	tx := &cdc.Tx{Commit: at.Commit, Time: when, XID: at.Epoch}
	return &Event{
		ID: i.id(tx, at.Sub, name, ""), Type: NoticeResource + "." + name, Resource: NoticeResource,
		Position: at, Time: when.UTC(), Data: data,
	}
}
