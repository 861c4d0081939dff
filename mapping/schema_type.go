package mapping

import (
	"reflect"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/schema"
)

// unsigned is the format of integers that may be beyond 64 bits with a sign: https://spec.openapis.org/registry/format/uint64
const unsigned = "uint64"

// typeSchema is what encoderOf writes of the values of a type that are not null. A value whose JSON is null all the same,
// as an infinite timestamp, makes it nullable. Labels are those of enums, by their types' OIDs; an enum without is any text.
func typeSchema(t *cdc.Type, f *format, labels map[uint32][]string) *schema.Schema {
	text := schema.Of(schema.String)
	if f.domainArraysText && t != nil && t.Kind == 'd' && baseType(t).Elem != nil {
		return text
	}
	t = baseType(t)
	if t == nil {
		return text
	}
	if t.Elem != nil {
		if f.userArraysText && !driverKnows(t.Elem) {
			return text
		}
		return arraySchema(typeSchema(t.Elem, f.ofElements(t.Elem), labels))
	}
	switch {
	case t.Kind == 'r' && f.ranges != rangeText:
		return f.rangeSchema(t.Sub, labels)
	case t.Kind == 'c' && f.objects && len(t.Fields) > 0:
		return compositeSchema(t.Fields, f, labels)
	case t.Kind == 'e':
		for _, label := range labels[t.OID] {
			text.Enum = append(text.Enum, label)
		}
		return text
	}
	switch name := typeName(t); name {
	case "int2", "int4", "oid":
		return schema.Of(schema.Integer)
	case "int8", "xid8":
		if name == "int8" && f.bigText || name == "xid8" && f.xid8Text {
			text.Pattern = "^-?[0-9]+$"
			return text
		}
		if name == "xid8" {
			return &schema.Schema{Type: schema.Types{schema.Integer}, Format: unsigned}
		}
		return schema.Of(schema.Integer)
	case "numeric":
		return f.numericSchema()
	case "float4", "float8":
		return schema.Of(schema.Number, schema.Null) // NaN has no JSON form
	case "bool":
		return schema.Of(schema.Boolean)
	case "bytea":
		return f.byteaSchema()
	case "date":
		if f.dateTime {
			return f.endless("date-time")
		}
		return f.endless("date")
	case "timestamp":
		if f.local == "" {
			return f.endless("") // what format there is has an offset
		}
		return f.endless("date-time")
	case "timestamptz":
		return f.endless("date-time")
	case "time":
		if f.time == timeRails {
			text.Format = "date-time"
		}
	case "interval":
		return f.intervalSchema()
	case "uuid":
		if f.uuidPlain {
			text.Pattern = "^[0-9a-f]{32}$"
		} else {
			text.Format = "uuid"
		}
	case "json", "jsonb":
		return schema.Any()
	case "hstore":
		if !f.hstoreText {
			return &schema.Schema{Type: schema.Types{schema.Object}, Additional: schema.Of(schema.String, schema.Null)}
		}
	case "vector":
		return &schema.Schema{Type: schema.Types{schema.Array}, Items: schema.Of(schema.Number)}
	case "point", "circle":
		return f.shapeSchema(name)
	case "geometry", "geography":
		if f.geojson {
			s := schema.Of(schema.Object)
			s.Add("type", schema.Of(schema.String), true)
			return schema.Either(s, text) // what GeoJSON has no type for stays hex
		}
	}
	return text
}

// arraySchema is that of an array: Postgres does not say how many dimensions one has, so an item may be an array again.
func arraySchema(element *schema.Schema) *schema.Schema {
	items := element.OrNull()
	switch plain := len(element.Enum) == 0 && element.Items == nil && len(element.Properties) == 0 && element.Additional == nil; {
	case element.IsAny():
	case plain && len(items.AnyOf) == 0:
		items.Type = append(items.Type, schema.Array)
	default:
		items = schema.Either(items, schema.Of(schema.Array))
	}
	return &schema.Schema{Type: schema.Types{schema.Array}, Items: items}
}

func (f *format) numericSchema() *schema.Schema {
	const digits = `-?[0-9]+(\.[0-9]+)?`
	switch f.numeric {
	case numericText, numericTrimmed:
		if f.nanText {
			return &schema.Schema{Type: schema.Types{schema.String}, Pattern: "^(" + digits + "|NaN|-?Infinity)$"}
		}
		return &schema.Schema{Type: schema.Types{schema.String, schema.Null}, Pattern: "^" + digits + "$"}
	}
	if f.nanText {
		return &schema.Schema{Type: schema.Types{schema.Number, schema.String}, Pattern: "^(NaN|-?Infinity)$"}
	}
	return schema.Of(schema.Number, schema.Null)
}

func (f *format) byteaSchema() *schema.Schema {
	s := schema.Of(schema.String)
	switch f.bytea {
	case byteaHex:
		s.Pattern = "^([0-9a-f]{2})*$"
	case byteaPostgres:
		s.Pattern = `^\\x([0-9a-f]{2})*$`
	case byteaBuffer:
		s = schema.Of(schema.Object)
		s.Add("type", &schema.Schema{Const: "Buffer"}, true)
		s.Add("data", &schema.Schema{Type: schema.Types{schema.Array}, Items: schema.Of(schema.Integer)}, true)
	default:
		s.ContentEncoding = "base64"
	}
	return s
}

// endless is that of a date or a timestamp, which may be infinite.
func (f *format) endless(name string) *schema.Schema {
	s := &schema.Schema{Type: schema.Types{schema.String}, Format: name}
	if f.infinity == infinityNull {
		return s.OrNull()
	}
	return s
}

func (f *format) intervalSchema() *schema.Schema {
	switch f.interval {
	case intervalSeconds:
		return schema.Of(schema.Number, schema.Null)
	case intervalWholeSeconds:
		return schema.Of(schema.Integer, schema.Null)
	case intervalClock:
		return schema.Of(schema.String, schema.Null)
	case intervalParts:
		s := schema.Of(schema.Object, schema.Null)
		for _, part := range []string{"years", "months", "days", "hours", "minutes", "seconds"} {
			s.Add(part, schema.Of(schema.Integer), false)
		}
		s.Add("milliseconds", schema.Of(schema.Number), false)
		return s
	}
	return &schema.Schema{Type: schema.Types{schema.String, schema.Null}, Format: "duration"}
}

func (f *format) rangeSchema(sub *cdc.Type, labels map[uint32][]string) *schema.Schema {
	switch f.ranges {
	case rangeJSON:
		return schema.Of(schema.String)
	case rangeDots:
		return schema.Of(schema.String, schema.Null)
	}
	bound := typeSchema(sub, f, labels).OrNull()
	s, empty := schema.Of(schema.Object), schema.Of(schema.Object)
	s.Add("lower", bound, true)
	s.Add("upper", bound, true)
	s.Add("bounds", &schema.Schema{Type: schema.Types{schema.String}, Enum: []any{"[)", "[]", "(]", "()"}}, true)
	empty.Add("empty", &schema.Schema{Const: true}, true)
	return schema.Either(s, empty)
}

func compositeSchema(fields []cdc.Field, f *format, labels map[uint32][]string) *schema.Schema {
	s, seen := schema.Of(schema.Object), map[string]bool{}
	for _, field := range fields {
		name := f.keys.key(field.Name)
		if seen[name] {
			own := *f
			own.keys = keysAsColumns
			return compositeSchema(fields, &own, labels)
		}
		seen[name] = true
		s.Add(name, typeSchema(field.Type, f, labels).OrNull(), true)
	}
	return s
}

func (f *format) shapeSchema(name string) *schema.Schema {
	if f.shapes == shapesText || name == "circle" && f.shapes != shapesNode {
		return schema.Of(schema.String)
	}
	members := []string{"x", "y"}
	if name == "circle" {
		members = append(members, "radius")
	}
	s := schema.Of(schema.Object)
	for _, m := range members {
		s.Add(m, schema.Of(schema.Number, schema.Null), true)
	}
	return s
}

// resultSchema is what appendValue writes of the results of an expression, as far as its type is known: null is never
// excluded.
func (p *program) resultSchema() *schema.Schema {
	if p == nil || p.result == nil {
		return schema.Any()
	}
	switch p.result {
	case reflect.TypeFor[time.Time]():
		return schema.Of(schema.String, schema.Null)
	case reflect.TypeFor[time.Duration]():
		return p.format.intervalSchema().OrNull()
	}
	switch p.result.Kind() {
	case reflect.Bool:
		return schema.Of(schema.Boolean, schema.Null)
	case reflect.String:
		return schema.Of(schema.String, schema.Null)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return schema.Of(schema.Integer, schema.Null)
	case reflect.Float32, reflect.Float64:
		// To the checker, what is computed of numerics is a float.
		n := p.format.numericSchema()
		if n.Type[0] == schema.Number {
			return n.OrNull()
		}
		return &schema.Schema{Type: schema.Types{schema.Number, schema.String, schema.Null}, Pattern: n.Pattern}
	case reflect.Slice, reflect.Array:
		return schema.Of(schema.Array, schema.Null)
	case reflect.Map:
		return schema.Of(schema.Object, schema.Null)
	}
	return schema.Any()
}
