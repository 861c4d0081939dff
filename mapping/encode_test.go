package mapping

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/rowhook/rowhook/cdc"
)

// trustedJSON are the types whose text Postgres guarantees to be JSON, so that it is not checked again.
var trustedJSON = map[string]bool{"json": true, "jsonb": true}

var encodedTypes = []string{
	"int2", "int4", "int8", "oid", "xid8", "numeric", "float4", "float8", "bool", "text", "bpchar", "bytea", "date", "time", "timetz",
	"timestamp", "timestamptz", "json", "jsonb", "uuid", "hstore", "vector", "mood enum", "pair composite", "cents domain numeric",
	"interval", "inet", "cidr", "money", "point", "circle", "geometry", "numeric range", "timestamptz range", "text range",
	"text[]", "int4[]", "numeric[]", "pair composite[]", "int4 range[]", "bool[]", "bytea[]", "timestamptz[]", "box[]", "hstore[]", "mood enum[]", "vector[]", "float8[]",
}

// fuzzedRules are every preset, and every rule that no preset has.
var fuzzedRules = []Rules{
	{}, {Preset: "rails"}, {Preset: "django"}, {Preset: "fastapi"}, {Preset: "node"}, {Preset: "go"},
	{Range: "object", Composite: "object", Geometry: "geojson", Bytea: "hex", UUID: "plain", Interval: "seconds", Timestamp: "seconds", Numeric: "number"},
	{Preset: "node", Range: "object", Composite: "object", Interval: "clock", Bytea: "postgres"},
}

// FuzzEncode holds every encoder to its word: valid JSON, whatever the text.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{
		"", "1", "-1", "007", "1.", "NaN", "infinity", "t", `\xde`, `\xd`, `\xzz`, "2024-02-29", "0044-03-15 BC", "2024-02-29 13:14:15.1+05:21:10",
		"10000-01-01 00:00:00-15:59:59 BC", `{a,"b\"",NULL}`, "{{1,2},{3}}", "[0:1]={1,2}", "{1,}", "{,1}", "{}{}", `{"\`, `"a"=>"b", "c"=>NULL`, `"a"=>`,
		"[1,2]", "[]", "[,]", "\xff\xfe\x00", "\u2028<&>", `{"a": [1, "b c"]}`, "null", "+1", "1e999999999",
		`(1,"a ""q"", b",,"{x,""y""}")`, `(,)`, `("\`, "[1,6)", "(,)", "empty", `["2024-01-01 00:00:00+00",)`, "[,", "P1Y2M3DT4H5M6.789S", "P-1DT-0.5S", "PT.S",
		"192.168.0.1/24", "::1", "1.2.3.4/99", "-$1,234,567.89", "1.234,50 €", "(1.5,2)", "<(1,2),3>", "13:14:15.1+05:30", "24:00:00", "00:0\":00", "13:14:15.x",
		"0101000020E6100000000000000000F03F0000000000000040", "0103000000FFFFFFFF", "6e1d0d2a-0000-4000-8000-000000000001",
	} {
		f.Add([]byte(s))
	}
	var encoders []encoder
	var names []string
	var formats []*format
	for _, rules := range fuzzedRules {
		for _, name := range encodedTypes {
			f := rules.format()
			encoders = append(encoders, encoderOf(testType(name), f))
			names, formats = append(names, name), append(formats, f)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		for i, encode := range encoders {
			if trustedJSON[names[i]] && (!json.Valid(src)) {
				continue
			}
			got := encode([]byte("prefix"), src)
			if string(got[:6]) != "prefix" {
				t.Fatalf("%s of %q wrote over what was there", names[i], src)
			}
			if got = got[6:]; !json.Valid(got) {
				t.Errorf("%s of %q is %q, which is not JSON", names[i], src, got)
			}
			if !trustedJSON[names[i]] && !utf8.Valid(got) {
				t.Errorf("%s of %q is %q, which is not UTF-8", names[i], src, got)
			}
			// What goes into a text must fit between quotes.
			r := renderer{}
			if text := append(r.intoString(append([]byte(nil), got...), 0), '"'); !json.Valid(append([]byte{'"'}, text...)) {
				t.Errorf("%s of %q gives the text %q", names[i], src, text)
			}
			// Expressions must take the same text without a panic, and write valid JSON too.
			read, _ := readerOf(testType(names[i]), formats[i])
			value, err := formats[i].appendValue(nil, read(src))
			if err != nil || !json.Valid(value) {
				t.Errorf("%s of %q reads as %q: %v", names[i], src, value, err)
			}
		}
	})
}

func TestStringRoundTrip(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= 0x2100; r++ {
		s := "a" + string(r) + "b"
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil || got != s {
			t.Fatalf("got %q, %v, want %q", got, err, s)
		}
	}
	if got, want := string(appendString(nil, "a\xffb\xe2\x82c\xf0\x9f\x98\x80")), `"a`+"\uFFFD"+`b`+"\uFFFD\uFFFD"+`c`+"\U0001F600"+`"`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUserTypeNamedLikeBuiltin(t *testing.T) {
	t.Parallel()
	for _, typ := range []*cdc.Type{
		nil,
		{OID: 20000, Name: "date", Kind: 'e'},
		{OID: 20000, Name: "int4", Kind: 'b'},
		{OID: 20000, Name: "json", Kind: 'c'},
		{OID: 20000, Name: "_int4", Kind: 'b'},
		{OID: 20000, Name: "d", Kind: 'd', Base: &cdc.Type{OID: 20001, Name: "numeric", Kind: 'e'}},
	} {
		if got := string(encoderOf(typ, &plainFormat)(nil, []byte("2024-01-01"))); got != `"2024-01-01"` {
			t.Errorf("%+v: got %s", typ, got)
		}
	}
}

func TestNestedArrayScratch(t *testing.T) {
	t.Parallel()
	// An array of a domain over an array: both encoders unescape, each into its own space.
	inner := &cdc.Type{Name: "tags", Kind: 'd', OID: 20000, Base: testType("text[]")}
	outer := &cdc.Type{Name: "_tags", Kind: 'b', Elem: inner}
	got := string(encoderOf(outer, &plainFormat)(nil, []byte(`{"{\"a\\\\b\",c}","{\"d,e\"}"}`)))
	if want := `[["a\\b","c"],["d,e"]]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
