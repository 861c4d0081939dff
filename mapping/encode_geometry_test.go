package mapping

import "testing"

// TestGeoJSON has values as PostGIS writes them: select st_geomfromtext(…).
func TestGeoJSON(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ what, in, want string }{
		{"point with srid", "0101000020E6100000000000000000F03F0000000000000040", `{"type":"Point","coordinates":[1,2]}`},
		{"big endian", "00000000013FF00000000000004000000000000000", `{"type":"Point","coordinates":[1,2]}`},
		{"point z", "0101000080000000000000F03F00000000000000400000000000000840", `{"type":"Point","coordinates":[1,2,3]}`},
		{"empty point", "0101000000000000000000F87F000000000000F87F", `{"type":"Point","coordinates":[]}`},
		{"line", "0102000000020000000000000000000000000000000000000" + "0000000000000F03F000000000000F83F", `{"type":"LineString","coordinates":[[0,0],[1,1.5]]}`},
		{"polygon", "01030000000100000003000000" + "00000000000000000000000000000000" + "000000000000F03F0000000000000000" + "00000000000000000000000000000000",
			`{"type":"Polygon","coordinates":[[[0,0],[1,0],[0,0]]]}`},
		{"multipoint", "0104000000010000000101000000000000000000F03F0000000000000040", `{"type":"MultiPoint","coordinates":[[1,2]]}`},
		{"collection", "0107000000010000000101000000000000000000F03F0000000000000040",
			`{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]}]}`},
		{"empty collection", "010700000000000000", `{"type":"GeometryCollection","geometries":[]}`},
		// What cannot be told stays as it is.
		{"measured", "0101000040000000000000F03F00000000000000400000000000000840", `"0101000040000000000000F03F00000000000000400000000000000840"`},
		{"curve", "0108000000", `"0108000000"`},
		{"cut off", "0101000000000000000000F03F", `"0101000000000000000000F03F"`},
		{"count without items", "0102000000FFFFFFFF", `"0102000000FFFFFFFF"`},
		{"more behind it", "0101000000000000000000F03F000000000000004000", `"0101000000000000000000F03F000000000000004000"`},
		{"odd", "0", `"0"`},
		{"no hex", "POINT(1 2)", `"POINT(1 2)"`},
	} {
		f := Rules{Geometry: "geojson"}.format()
		if got := string(encoderOf(testType("geometry"), f)(nil, []byte(test.in))); got != test.want {
			t.Errorf("%s: got %s, want %s", test.what, got, test.want)
		}
	}
}
