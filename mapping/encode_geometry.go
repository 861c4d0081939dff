package mapping

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

type shapeStyle uint8

const (
	shapesText shapeStyle = iota
	// shapesRails makes objects of points, shapesNode of points and circles.
	shapesRails
	shapesNode
)

// encodeShape writes Postgres' own points and circles as objects.
func (f *format) encodeShape(dst, src []byte) []byte {
	names, inner := []string{"x", "y"}, src
	if len(src) > 0 && src[0] == '<' {
		names = []string{"x", "y", "radius"}
	}
	if f.shapes != shapesNode && len(names) == 3 {
		return appendString(dst, src)
	}
	inner = bytes.Trim(inner, "<>()")
	numbers := bytes.Split(bytes.ReplaceAll(inner, []byte(")"), nil), []byte(","))
	if len(numbers) != len(names) {
		return appendString(dst, src)
	}
	start := len(dst)
	dst = append(dst, '{')
	for i, name := range names {
		dst = append(appendString(appendComma(dst, start), name), ':')
		dst = f.encodeFloat(dst, numbers[i])
	}
	return append(dst, '}')
}

// encodeGeoJSON writes a PostGIS value, whose text is EWKB in hex, as GeoJSON. What GeoJSON has no type for, and what is
// nested too deep, stays hex. https://postgis.net/docs/ST_AsEWKB.html, RFC 7946
func encodeGeoJSON(dst, src []byte) []byte {
	raw := make([]byte, len(src)/2)
	for i := range raw {
		hi, lo := unhex(src[2*i]), unhex(src[2*i+1])
		if hi > 15 || lo > 15 {
			return appendString(dst, src)
		}
		raw[i] = hi<<4 | lo
	}
	w := wkb{rest: raw}
	out := w.geometry(dst, 0)
	if w.bad || len(w.rest) > 0 || len(src)%2 != 0 {
		return appendString(dst, src)
	}
	return out
}

// wkb reads extended well-known binary.
type wkb struct {
	rest []byte
	bad  bool
}

const (
	wkbZ, wkbM, wkbSRID = 0x80000000, 0x40000000, 0x20000000
	maxGeometries       = 32 // of collections within one another
)

func (w *wkb) take(n int) []byte {
	if n > len(w.rest) {
		w.bad = true
		w.rest = nil
		return make([]byte, n)
	}
	b := w.rest[:n]
	w.rest = w.rest[n:]
	return b
}

// geometryTypes are GeoJSON's, by their number in WKB from 1 on.
var geometryTypes = []string{"Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"}

func (w *wkb) geometry(dst []byte, depth int) []byte {
	order, kind, size := w.header()
	if w.bad || kind < 1 || int(kind) > len(geometryTypes) || depth > maxGeometries {
		w.bad = true
		return dst
	}
	dst = append(dst, `{"type":"`...)
	dst = append(dst, geometryTypes[kind-1]...)
	if kind == 7 {
		dst = append(dst, `","geometries":`...)
	} else {
		dst = append(dst, `","coordinates":`...)
	}
	switch kind {
	case 1:
		dst = w.point(dst, order, size)
	case 2:
		dst = w.points(dst, order, size)
	case 3:
		dst = w.list(dst, order, func(dst []byte) []byte { return w.points(dst, order, size) })
	default:
		dst = w.list(dst, order, func(dst []byte) []byte {
			if kind == 7 {
				return w.geometry(dst, depth+1)
			}
			order, part, size := w.header()
			if part != kind-3 {
				w.bad = true
			}
			switch {
			case w.bad:
			case part == 1:
				dst = w.point(dst, order, size)
			case part == 2:
				dst = w.points(dst, order, size)
			default:
				dst = w.list(dst, order, func(dst []byte) []byte { return w.points(dst, order, size) })
			}
			return dst
		})
	}
	return append(dst, '}')
}

// header is the byte order, the type, and how many numbers a point has; the reference system is not told by GeoJSON.
func (w *wkb) header() (order binary.ByteOrder, kind uint32, size int) {
	order = binary.BigEndian
	if w.take(1)[0] == 1 {
		order = binary.LittleEndian
	}
	kind, size = order.Uint32(w.take(4)), 2
	if kind&wkbSRID != 0 {
		w.take(4)
	}
	if kind&wkbZ != 0 {
		size++
	}
	if kind&wkbM != 0 {
		w.bad = true // GeoJSON has no measures
	}
	return order, kind &^ (wkbZ | wkbM | wkbSRID), size
}

func (w *wkb) list(dst []byte, order binary.ByteOrder, item func([]byte) []byte) []byte {
	n := order.Uint32(w.take(4))
	dst = append(dst, '[')
	for i := uint32(0); i < n && !w.bad; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = item(dst)
	}
	return append(dst, ']')
}

func (w *wkb) points(dst []byte, order binary.ByteOrder, size int) []byte {
	return w.list(dst, order, func(dst []byte) []byte { return w.point(dst, order, size) })
}

// point writes the numbers of a point; an empty point has none.
func (w *wkb) point(dst []byte, order binary.ByteOrder, size int) []byte {
	start := len(dst)
	dst = append(dst, '[')
	for i := range size {
		n := math.Float64frombits(order.Uint64(w.take(8)))
		if math.IsNaN(n) || math.IsInf(n, 0) {
			dst = append(dst[:start], '[')
			w.take(min(8*(size-1-i), len(w.rest)))
			break
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendFloat(dst, n, 'f', -1, 64)
	}
	return append(dst, ']')
}
