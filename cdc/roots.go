package cdc

// Roots says how rows of a table are found by those that belong to them, from below: a contact by its tags, all contacts of
// a company. It is made once, shared and never changed: its pointer keys what is known of it.
type Roots struct {
	// Name is what errors call it: contact.
	Name  string
	Table TableName
	// Key names a row: NOT NULL columns of which no two rows have the same.
	Key     []Column
	Ascents []Ascent
}

// Ascent is one way up.
type Ascent struct {
	// Name is that of the relation: contact.tags.
	Name string
	// Steps lead from the rows below to the table: the last one's Table is that of the Roots.
	Steps []AscentStep
}

// AscentStep goes to the rows of Table that are equal to the row below in all pairs.
type AscentStep struct {
	Table TableName
	On    []JoinPair
}

// JoinPair is a column of the row below, and the one above that it is equal to.
type JoinPair struct{ Theirs, Ours Column }
