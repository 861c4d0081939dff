package mapping

import "github.com/rowhook/rowhook/cdc"

// encoder appends the JSON of a value that is not null, given in Postgres' text form. What it appends is valid JSON
// whatever the text: a text that is not of the type becomes a string.
type encoder func(dst, src []byte) []byte

// encoderOf is the encoder of a type. Encoders of arrays and hstore hold scratch space: ask for one per user.
func encoderOf(t *cdc.Type) encoder {
	t = baseType(t)
	if t == nil {
		return encodeText
	}
	if t.Elem != nil {
		return arrayEncoder(encoderOf(t.Elem), delimiter(t.Elem))
	}
	switch typeName(t) {
	case "int2", "int4", "int8", "oid", "xid8":
		return encodeInteger
	case "numeric":
		return encodeNumeric
	case "float4", "float8":
		return encodeFloat
	case "bool":
		return encodeBool
	case "bytea":
		return encodeBytea
	case "date":
		return encodeDate
	case "timestamp":
		return encodeTimestamp
	case "timestamptz":
		return encodeTimestamptz
	case "json", "jsonb":
		return encodeJSON
	case "hstore":
		return hstoreEncoder()
	case "vector":
		return encodeVector
	}
	return encodeText
}

// baseType is what a domain stands for, else the type itself.
func baseType(t *cdc.Type) *cdc.Type {
	for t != nil && t.Kind == 'd' && t.Base != nil {
		t = t.Base
	}
	return t
}

// firstUserOID is where the OIDs of types that users and extensions make begin.
// https://www.postgresql.org/docs/current/system-catalog-initial-data.html#SYSTEM-CATALOG-OID-ASSIGNMENT
const firstUserOID = 16384

// typeName is the name of a type whose text form is known by it, else "". A user may call an enum "date".
func typeName(t *cdc.Type) string {
	if t == nil || t.Kind != 'b' && t.Kind != 0 {
		return ""
	}
	switch t.Name {
	case "hstore", "vector":
		return t.Name
	}
	if t.OID >= firstUserOID {
		return ""
	}
	return t.Name
}

func delimiter(element *cdc.Type) byte {
	if e := baseType(element); e != nil && e.Delim != 0 {
		return e.Delim
	}
	return ','
}
