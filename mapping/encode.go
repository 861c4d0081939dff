package mapping

import "github.com/rowhook/rowhook/cdc"

// encoder appends the JSON of a value that is not null, given in Postgres' text form. What it appends is valid JSON
// whatever the text: a text that is not of the type becomes a string.
type encoder func(dst, src []byte) []byte

// encoderOf is the encoder of a type in a format. Encoders of arrays, hstore and composites hold scratch space: ask for
// one per user.
func encoderOf(t *cdc.Type, f *format) encoder {
	if f.domainArraysText && t != nil && t.Kind == 'd' && baseType(t).Elem != nil {
		return encodeText
	}
	t = baseType(t)
	if t == nil {
		return encodeText
	}
	if t.Elem != nil {
		if f.userArraysText && !driverKnows(t.Elem) {
			return encodeText
		}
		return arrayEncoder(encoderOf(t.Elem, f.ofElements(t.Elem)), delimiter(t.Elem))
	}
	switch {
	case t.Kind == 'r' && f.ranges != rangeText:
		return f.rangeEncoder(t.Sub)
	case t.Kind == 'c' && f.objects && len(t.Fields) > 0:
		return compositeEncoder(t.Fields, f)
	}
	switch typeName(t) {
	case "int2", "int4", "oid":
		return encodeInteger
	case "int8":
		if f.bigText {
			return encodeBig
		}
		return encodeInteger
	case "xid8":
		if f.xid8Text {
			return encodeBig
		}
		return encodeInteger
	case "numeric":
		return f.encodeNumeric
	case "float4", "float8":
		return f.encodeFloat
	case "bool":
		return encodeBool
	case "bytea":
		return f.encodeBytea
	case "date":
		return f.encodeDate
	case "timestamp":
		return f.encodeTimestamp
	case "timestamptz":
		return f.encodeTimestamptz
	case "time", "timetz":
		return f.encodeTime
	case "interval":
		return f.encodeInterval
	case "uuid":
		return f.encodeUUID
	case "json", "jsonb":
		return encodeJSON
	case "hstore":
		if f.hstoreText {
			return encodeText
		}
		return hstoreEncoder()
	case "vector":
		return encodeVector
	case "money":
		return f.encodeMoney
	case "inet", "cidr":
		if f.inet != inetText {
			return f.encodeInet
		}
	case "point", "circle":
		if f.shapes != shapesText {
			return f.encodeShape
		}
	case "geometry", "geography":
		if f.geojson {
			return encodeGeoJSON
		}
	}
	return encodeText
}

// ofElements is the format of an array's elements: Node's driver reads numerics as text, but those in arrays as numbers.
func (f *format) ofElements(element *cdc.Type) *format {
	if f.userArraysText && typeName(element) == "numeric" {
		elements := *f
		elements.numeric, elements.nanText = numericJS, false
		return &elements
	}
	return f
}

// driverKnows says whether a driver that knows types by their numbers has a parser for lists of this one.
func driverKnows(element *cdc.Type) bool {
	switch element.Kind {
	case 'b', 0:
		return typeName(element) != "" && element.OID < firstUserOID && typeName(element) != "box"
	}
	return false
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
	case "hstore", "vector", "geometry", "geography":
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
