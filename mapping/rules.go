package mapping

import (
	"maps"
	"slices"
)

// Rules say how values are written as JSON: a preset, and single rules over it. An empty field says nothing; see
// RuleValues for what each may hold.
type Rules struct {
	// Preset is named after what the API is made with; rowhook is its own.
	Preset string
	// Timestamp is the precision of timestamp and timestamptz, TimestampZone whether a timestamp without time zone says
	// that it is UTC.
	Timestamp, TimestampZone string
	Date                     string
	Numeric                  string
	Bigint                   string
	Bytea                    string
	Interval                 string
	UUID                     string
	Range                    string
	Composite                string
	Geometry                 string
	// Keys is the case of the names that columns and composite types give to members; a representation's own names stay.
	Keys string
}

// Over is r with what it does not say taken from base. A preset in r replaces all of base.
func (r Rules) Over(base Rules) Rules {
	if r.Preset != "" {
		base = Rules{}
	}
	for _, field := range ruleFields {
		if to := field.of(&r); *to == "" {
			*to = *field.of(&base)
		}
	}
	return r
}

// ruleFields are the fields of Rules under the names that the config gives them.
var ruleFields = []struct {
	name   string
	of     func(*Rules) *string
	values []string
}{
	{"preset", func(r *Rules) *string { return &r.Preset }, slices.Sorted(maps.Keys(presets))},
	{"timestamp", func(r *Rules) *string { return &r.Timestamp }, []string{"microseconds", "milliseconds", "seconds", "trimmed", "isoformat"}},
	{"timestamp_zone", func(r *Rules) *string { return &r.TimestampZone }, []string{"none", "utc"}},
	{"date", func(r *Rules) *string { return &r.Date }, []string{"date", "timestamp"}},
	{"numeric", func(r *Rules) *string { return &r.Numeric }, []string{"string", "number", "trimmed"}},
	{"bigint", func(r *Rules) *string { return &r.Bigint }, []string{"number", "string"}},
	{"bytea", func(r *Rules) *string { return &r.Bytea }, []string{"base64", "hex", "postgres", "buffer"}},
	{"interval", func(r *Rules) *string { return &r.Interval }, []string{"iso8601", "seconds", "whole_seconds", "clock", "parts"}},
	{"uuid", func(r *Rules) *string { return &r.UUID }, []string{"hyphens", "plain"}},
	{"range", func(r *Rules) *string { return &r.Range }, []string{"text", "object", "dots", "json"}},
	{"composite", func(r *Rules) *string { return &r.Composite }, []string{"text", "object"}},
	{"geometry", func(r *Rules) *string { return &r.Geometry }, []string{"hex", "geojson"}},
	{"keys", func(r *Rules) *string { return &r.Keys }, []string{"columns", "camel", "pascal", "snake", "kebab"}},
}

// RuleValues are the values that the rule of that name in the config takes, the default first; for the preset, all in
// alphabetical order.
func RuleValues(rule string) []string {
	for _, field := range ruleFields {
		if field.name == rule {
			return slices.Clone(field.values)
		}
	}
	return nil
}

// format is how the values of one resource are written. It is made once and then only read.
type format struct {
	// clock is the precision of timestamps. utc stands behind those with time zone, local behind those without.
	clock      clockStyle
	utc, local string
	years      yearStyle
	// dateTime writes a date as the midnight it begins with.
	dateTime bool
	time     timeStyle
	// infinity is what there is for the infinite dates and timestamps.
	infinity infinityStyle

	numeric numericStyle
	// nanText writes the NaN and the infinities of numerics as text, not as null.
	nanText bool
	// bigText writes int8 as text, xid8Text xid8.
	bigText, xid8Text bool
	float             floatStyle

	bytea    byteaStyle
	interval intervalStyle
	// uuidPlain leaves the hyphens out.
	uuidPlain bool
	ranges    rangeStyle
	// objects writes composites as objects, geojson geometries as such.
	objects, geojson bool
	keys             keyStyle

	// What single frameworks do.

	// shapes are the geometric types that become objects.
	shapes shapeStyle
	inet   inetStyle
	// plainMoney leaves the currency and the separators out.
	plainMoney bool
	// hstoreText and userArraysText leave what the driver does not know as Postgres' text, domainArraysText arrays in
	// domains.
	hstoreText, userArraysText, domainArraysText bool
}

// plainFormat is rowhook's own.
var plainFormat = format{utc: "Z", infinity: infinityNull}

// presets are the formats of what frameworks write; testdata/presets holds them to it.
var presets = map[string]format{
	"rowhook": plainFormat,
	"rails": {
		clock: clockMilliseconds, utc: "Z", local: "Z", years: yearsBare, time: timeRails, numeric: numericTrimmed, xid8Text: true,
		float: floatRuby, interval: intervalWholeSeconds, ranges: rangeDots, shapes: shapesRails, inet: inetMasked, plainMoney: true, domainArraysText: true,
	},
	"django": {
		clock: clockISOFormat, utc: "Z", local: "Z", time: timeISOFormat, infinity: infinityPython, float: floatPython,
		interval: intervalClock, ranges: rangeJSON,
	},
	"fastapi": {
		clock: clockISOFormat, utc: "+00:00", time: timeISOFormat, infinity: infinityPython, numeric: numericPython, float: floatPython,
		interval: intervalSeconds,
	},
	"node": {
		clock: clockMilliseconds, utc: "Z", local: "Z", years: yearsSix, dateTime: true, nanText: true, bigText: true, xid8Text: true,
		float: floatJS, bytea: byteaBuffer, interval: intervalParts, shapes: shapesNode, hstoreText: true, userArraysText: true,
	},
	"go": {
		clock: clockTrimmed, utc: "Z", years: yearsBare, infinity: infinityText, numeric: numericNumber, nanText: true, float: floatGo,
		inet: inetPrefix,
	},
}

// format is what the rules come to. Values that are not among RuleValues are as if they were empty: Parse tells them.
func (r Rules) format() *format {
	f := plainFormat
	if p, ok := presets[r.Preset]; ok {
		f = p
	}
	set(&f.clock, r.Timestamp, map[string]clockStyle{"microseconds": clockMicroseconds, "milliseconds": clockMilliseconds,
		"seconds": clockSeconds, "trimmed": clockTrimmed, "isoformat": clockISOFormat})
	set(&f.local, r.TimestampZone, map[string]string{"none": "", "utc": f.utc})
	set(&f.dateTime, r.Date, map[string]bool{"date": false, "timestamp": true})
	set(&f.numeric, r.Numeric, map[string]numericStyle{"string": numericText, "number": numericNumber, "trimmed": numericTrimmed})
	// What is asked for as a number is not text when it is none.
	f.nanText = f.nanText && r.Numeric != "number"
	set(&f.bigText, r.Bigint, map[string]bool{"number": false, "string": true})
	set(&f.bytea, r.Bytea, map[string]byteaStyle{"base64": byteaBase64, "hex": byteaHex, "postgres": byteaPostgres, "buffer": byteaBuffer})
	set(&f.interval, r.Interval, map[string]intervalStyle{"iso8601": intervalISO, "seconds": intervalSeconds,
		"whole_seconds": intervalWholeSeconds, "clock": intervalClock, "parts": intervalParts})
	set(&f.uuidPlain, r.UUID, map[string]bool{"hyphens": false, "plain": true})
	set(&f.ranges, r.Range, map[string]rangeStyle{"text": rangeText, "object": rangeObject, "dots": rangeDots, "json": rangeJSON})
	set(&f.objects, r.Composite, map[string]bool{"text": false, "object": true})
	set(&f.geojson, r.Geometry, map[string]bool{"hex": false, "geojson": true})
	set(&f.keys, r.Keys, map[string]keyStyle{"columns": keysAsColumns, "camel": keysCamel, "pascal": keysPascal, "snake": keysSnake, "kebab": keysKebab})
	return &f
}

func set[T any](to *T, rule string, values map[string]T) {
	if v, ok := values[rule]; ok {
		*to = v
	}
}
