package cdc

import (
	"fmt"
	"time"
)

// IncidentKind is what kind of trouble needs a person's word before rowhook goes on. The texts are part of the API.
type IncidentKind string

// The kinds of incident.
const (
	// SlotMissing: everything up to the checkpoint was read from a slot that is not there any more.
	SlotMissing IncidentKind = "slot_missing"
	// SlotLost: the server has removed log that was not read yet.
	SlotLost IncidentKind = "slot_lost"
	// SlotMoved: the slot stands beyond everything that was ever acknowledged.
	SlotMoved IncidentKind = "slot_moved"
	// DatabaseRestored: the log ends before what was delivered, or its history left ours before it.
	DatabaseRestored IncidentKind = "database_restored"
	// OtherDatabase: the checkpoint is of another cluster or database.
	OtherDatabase IncidentKind = "other_database"
	// OtherEnvironment: the store was made in another environment: it is a copy, perhaps. Nothing is lost by going on.
	OtherEnvironment IncidentKind = "other_environment"
	// PublicationMissing: the publication did not exist when the log at this place was written.
	PublicationMissing IncidentKind = "publication_missing"
	// TablesUnpublished: the publication did not have tables that are mapped, for some time.
	TablesUnpublished IncidentKind = "tables_unpublished"
	// Undecodable: a change cannot be read, by the server or by rowhook.
	Undecodable IncidentKind = "undecodable_change"
	// TooLarge: a row or message is larger than Config.MaxMessage.
	TooLarge IncidentKind = "too_large"
)

// Incident is a state in which only a person can decide to go on: by Accept.
type Incident struct {
	Kind IncidentKind
	// From is the position up to which nothing is missing, committed up to FromTime; zero where it is not known.
	From     LSN
	FromTime time.Time
	// To is where it went on, at ToTime: set by Accept.
	To     LSN
	ToTime time.Time
	// Tables are those of which changes may be missing; nil is all of them.
	Tables []TableName
	// Tx is the one transaction of which changes are missing, where it is only that; else nil.
	Tx *Tx
	// received is how far the connection had read that ran into it. unsettled says that not all of what came before it
	// is durable: accepted now, it would lose more than it says.
	received  LSN
	unsettled bool
	// drained says that a person knows that nothing is missing.
	drained bool
}

// Loses says that changes will never be delivered when it is accepted.
func (i *Incident) Loses() bool { return i.Kind != OtherEnvironment && !i.drained }

// The commands are named in the hints, since who reads them decides what to do.
const (
	resumeCommand = "rowhook resume"
	acceptCommand = "rowhook resume --accept-gap"
	// movedCommand is for a database that was moved or upgraded after a drain.
	movedCommand = "rowhook resume --drained"
)

// gap is the Error of an incident.
func gap(in Incident, cause error, mend, format string, args ...any) *Error {
	return &Error{Class: Gap, What: fmt.Sprintf(format, args...), Mend: mend, Err: cause, Incident: &in}
}
