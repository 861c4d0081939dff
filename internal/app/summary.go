package app

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/rowhook/rowhook/client"
)

// summary says in a sentence what is going on: what is wrong first, since who reads no further has to know it.
func summary(s *client.Status) string {
	late := ""
	if s.Stream != nil {
		late = roundDuration(time.Duration(s.Stream.LagSeconds * float64(time.Second)))
	}
	errors := 0
	for _, f := range s.Findings {
		if f.Severity == client.SeverityError {
			errors++
		}
	}
	switch s.State {
	case client.StateHeld:
		return "held: nothing is sent until a person decides"
	case client.StateWaiting:
		return "waiting for what is away or has to be mended"
	}
	if errors == 0 {
		return doing(s, late)
	}
	text := headline(s.Findings[0])
	if errors > 1 {
		text += "; " + plural(errors-1, "more thing is wrong", "more things are wrong")
	}
	switch s.State {
	case client.StateReplicating, client.StateServing:
	case client.StateCatchingUp:
		text += "; held up for " + late
	default:
		text += "; " + doing(s, late)
	}
	return text
}

// doing is what is going on where nothing is wrong.
func doing(s *client.Status, late string) string {
	switch s.State {
	case client.StateReplicating:
		if s.Deliveries.Due > 0 {
			return fmt.Sprintf("replicating; %s in the store", plural(s.Deliveries.Due, "delivery waits", "deliveries wait"))
		}
		return "replicating: what is committed is sent at once"
	case client.StateCatchingUp:
		return fmt.Sprintf("catching up: what is sent now was committed %s ago", late)
	case client.StateStandby:
		return "standing by: another process reads the slot, and this one takes over when that ends"
	case client.StateServing:
		return "passing on the application's requests; another process reads changes and sends hooks"
	case client.StatePaused:
		return "paused: nothing is sent until it is resumed"
	}
	return "starting"
}

// headlines are for findings that begin with what was asked for, not with what is wrong.
var headlines = map[string]string{
	codeApplication: "the application does not answer",
	codeReads:       "rows that events need cannot be read",
}

// headline is what a finding says before it goes into details.
func headline(f client.StatusFinding) string {
	what, _, _ := strings.Cut(f.What, "\n")
	what, _, _ = strings.Cut(what, ": ")
	return cmp.Or(headlines[f.Code], what)
}
