package cdctest

import (
	"strings"

	"github.com/rowhook/rowhook/cdc"
)

// sqlNames are the types that SQL calls otherwise than the catalog does.
// https://www.postgresql.org/docs/current/datatype.html
var sqlNames = map[string]string{
	"bigint": "int8", "integer": "int4", "int": "int4", "smallint": "int2", "boolean": "bool", "real": "float4",
	"double precision": "float8", "decimal": "numeric", "character varying": "varchar", "character": "bpchar", "char": "bpchar",
	"timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp",
	"time with time zone": "timetz", "time without time zone": "time", "bit varying": "varbit",
}

// Type is a type by the name that SQL or the catalog gives it: bigint, text[], varchar(20), mood enum(sad, ok), cents domain
// numeric, address composite, int4 range. One that is not known is text.
func Type(name string) *cdc.Type {
	if element, ok := strings.CutSuffix(name, "[]"); ok {
		e := Type(strings.TrimRight(element, "[]")) // the dimensions are not the type's
		return &cdc.Type{Name: "_" + e.Name, Kind: 'b', Elem: e, Delim: ','}
	}
	if name, base, ok := strings.Cut(name, " domain "); ok {
		return &cdc.Type{OID: 30001, Name: name, Kind: 'd', Base: Type(base), Delim: ','}
	}
	if enum := enumForm.FindStringSubmatch(name); enum != nil {
		return &cdc.Type{OID: 30000, Name: enum[1], Kind: 'e', Delim: ',', Labels: readLabels(enum[2])}
	}
	// What is between brackets says nothing of how a value is written.
	if open := strings.IndexByte(name, '('); open >= 0 {
		if end := strings.IndexByte(name, ')'); end > open {
			name = strings.Join(strings.Fields(name[:open]+name[end+1:]), " ")
		}
	}
	if plain, ok := sqlNames[strings.ToLower(name)]; ok {
		name = plain
	}
	if fields := strings.Fields(name); len(fields) > 1 {
		switch fields[1] {
		case "enum":
			return &cdc.Type{OID: 30000, Name: fields[0], Kind: 'e', Delim: ','}
		case "composite":
			return &cdc.Type{OID: 30002, Name: fields[0], Kind: 'c', Delim: ',', Fields: []cdc.Field{
				{Name: "a", Type: Type("int4")}, {Name: "b", Type: Type("text")}, {Name: "c", Type: Type("numeric")},
				{Name: "d", Type: Type("text[]")}}}
		case "range":
			return &cdc.Type{OID: 30003, Name: fields[0] + "range", Kind: 'r', Delim: ',', Sub: Type(fields[0])}
		}
	}
	delim := byte(',')
	if name == "box" {
		delim = ';'
	}
	return &cdc.Type{Name: name, Kind: 'b', Delim: delim}
}
