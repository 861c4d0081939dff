package cdc

// Lookup says how rows of a table are found by values of other columns than a RowRequest's. It is made once, shared and
// never changed: its pointer keys what is known of it.
type Lookup struct {
	// Name is what errors call it: contact.tags.
	Name  string
	Table TableName
	// Columns are what is read, in this order.
	Columns []Column
	// Match are the columns that are compared with the values of a key, in its order.
	Match []LookupColumn
	Order []LookupOrder
	// Max is how many rows of one key are wanted: the first ones in order, and one more, which tells that there are more.
	Max int
	// First wants no more than Max.
	First bool
	// More says that the rows name further ones.
	More bool
}

// LookupColumn is a column of the table; Type is that of the values that it is compared with.
type LookupColumn struct {
	Column
	Type *Type
}

// LookupOrder is a column of the table to order by.
type LookupOrder struct {
	Column     string
	Descending bool
}

// LookupRequest asks for the rows of several keys, each given once, with the text of its values in the order of Match.
type LookupRequest struct {
	Lookup *Lookup
	Keys   [][][]byte
}
