package mapping

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Unlike encoding/json it leaves <, >, & and U+2028 alone: the bytes are
// signed and read by programs, not put into pages.
func appendString[S string | []byte](dst []byte, s S) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s)
	return append(dst, '"')
}

// appendEscaped appends what stands between the quotes.
func appendEscaped[S string | []byte](dst []byte, s S) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			// No conversion: a rune is at most four bytes, so only these are looked at.
			r, size := decodeRune(s, i)
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\uFFFD"...)
				i++
				start = i
				continue
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(dst, s[start:]...)
}

func decodeRune[S string | []byte](s S, i int) (rune, int) {
	var b [utf8.UTFMax]byte
	n := copy(b[:], s[i:min(i+utf8.UTFMax, len(s))])
	return utf8.DecodeRune(b[:n])
}

func encodeText(dst, src []byte) []byte { return appendString(dst, src) }

func encodeBool(dst, src []byte) []byte {
	if len(src) == 1 {
		switch src[0] {
		case 't':
			return append(dst, "true"...)
		case 'f':
			return append(dst, "false"...)
		}
	}
	return appendString(dst, src)
}

type byteaStyle uint8

const (
	byteaBase64 byteaStyle = iota
	byteaHex
	// byteaPostgres is \xdeadbeef, byteaBuffer what a Buffer of Node becomes.
	byteaPostgres
	byteaBuffer
)

// encodeBytea turns Postgres' \x… into what the API has for bytes.
func (f *format) encodeBytea(dst, src []byte) []byte {
	if len(src) < 2 || src[0] != '\\' || src[1] != 'x' || len(src)%2 != 0 {
		return appendString(dst, src)
	}
	switch f.bytea {
	case byteaHex:
		return appendString(dst, src[2:])
	case byteaPostgres:
		return appendString(dst, src)
	}
	start := len(dst)
	if f.bytea == byteaBuffer {
		dst = append(dst, `{"type":"Buffer","data":[`...)
	} else {
		dst = append(dst, '"')
	}
	var group [3]byte
	n := 0
	for i := 2; i < len(src); i += 2 {
		hi, lo := unhex(src[i]), unhex(src[i+1])
		if hi > 15 || lo > 15 {
			return appendString(dst[:start], src)
		}
		if f.bytea == byteaBuffer {
			if i > 2 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendUint(dst, uint64(hi<<4|lo), 10)
			continue
		}
		group[n] = hi<<4 | lo
		if n++; n == 3 {
			dst = base64.StdEncoding.AppendEncode(dst, group[:])
			n = 0
		}
	}
	if f.bytea == byteaBuffer {
		return append(dst, "]}"...)
	}
	dst = base64.StdEncoding.AppendEncode(dst, group[:n])
	return append(dst, '"')
}

func (f *format) encodeUUID(dst, src []byte) []byte {
	if f.uuidPlain {
		src = bytes.ReplaceAll(src, []byte("-"), nil)
	}
	return appendString(dst, src)
}

// encodeMoney leaves the currency and the separators out where the format wants a number's digits: -$1,234.50 is
// -1234.50. How an amount is written depends on the server's lc_monetary. What Rails reads is read: two digits behind a
// point or comma at the end, and the other one between the rest. Anything else, as 1.234,50 € or 1,234.500, stays as it is.
func (f *format) encodeMoney(dst, src []byte) []byte {
	if !f.plainMoney {
		return appendString(dst, src)
	}
	plain, ok := plainMoney(src)
	if !ok {
		plain = src
	}
	return appendString(dst, plain)
}

func plainMoney(src []byte) ([]byte, bool) {
	amount, plain := src, make([]byte, 0, len(src))
	if n := len(src); n > 2 && src[0] == '(' && src[n-1] == ')' {
		amount, plain = src[1:n-1], append(plain, '-')
	}
	point := len(amount) - 3
	if point < 1 || amount[point] != '.' && amount[point] != ',' {
		return nil, false
	}
	begun := false
	for i, c := range amount {
		switch {
		case c >= '0' && c <= '9':
			begun = true
			plain = append(plain, c)
		case !begun && c == '-':
			plain = append(plain, c)
		case !begun: // the currency
		case i == point:
			plain = append(plain, '.')
		case i > point || c != '.' && c != ',' || c == amount[point]:
			return nil, false
		}
	}
	return plain, validNumber(plain)
}

type inetStyle uint8

const (
	inetText inetStyle = iota
	// inetMasked is the network's address without its mask, inetPrefix the address with a mask always.
	inetMasked
	inetPrefix
)

func (f *format) encodeInet(dst, src []byte) []byte {
	text := string(src)
	if !strings.Contains(text, "/") {
		if address, err := netip.ParseAddr(text); err == nil && f.inet == inetPrefix {
			return appendString(dst, netip.PrefixFrom(address, address.BitLen()).String())
		}
		return appendString(dst, src)
	}
	if prefix, err := netip.ParsePrefix(text); err == nil && f.inet == inetMasked {
		return appendString(dst, prefix.Masked().Addr().String())
	}
	return appendString(dst, src)
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
