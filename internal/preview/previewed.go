package preview

import (
	"fmt"
	"strings"

	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/mapping"
)

// Previewed is a row's event, and what there is to say about it.
type Previewed struct {
	*mapping.Event
	// Sent says that it would be made of such a change.
	Sent bool
	// unsent says why it would not.
	unsent string
	// Remarks are lines of text: why it would not be sent, and who would get it.
	Remarks []string
	// Matches says whether the filter is true of it, nil where there is none.
	Matches *bool
}

// OwnEvents are the events that every resource has.
var OwnEvents = []string{"create", "update", "delete", "truncate"}

// unknown says which name was meant, among those that there are.
func unknown(what, name string, names []string) error {
	hint := problem.DidYouMean(name, names)
	if hint == "" {
		hint = "there are: " + strings.Join(names, ", ")
	}
	return fmt.Errorf("%s %q\n  hint: %s", what, name, hint)
}
