package verify

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// bodyMax bounds what is decompressed, in bytes: no body is larger.
const bodyMax = 128 << 20

// Bodies that are compressed begin with the first, and no other body does. Who reads them as text makes the second of it.
var (
	gzipMagic  = []byte{0x1f, 0x8b}
	gzipAsText = []byte("\x1f\xef\xbf\xbd")
)

// unpack lets the body be what was signed: that of before the compression. It is false where nothing can be made of it.
func (r *Report) unpack(q *request) bool {
	const next = "take the bytes as they came, all of them, or those that the framework has decompressed"
	switch packed := q.body; {
	case bytes.HasPrefix(packed, gzipMagic):
		plain, err := unpacked(packed, bodyMax)
		if err != nil {
			r.add("body", Wrong, fmt.Sprintf("is %d bytes of gzip: %v", len(packed), err), next)
			return false
		}
		q.body, q.packed = plain, len(packed)
	case bytes.HasPrefix(packed, gzipAsText):
		r.add("body", Wrong, "was gzip, and was read as text: its bytes are lost", next)
		return false
	}
	return true
}

// unpacked decompresses so many bytes at most.
func unpacked(packed []byte, most int) ([]byte, error) {
	in := bytes.NewReader(packed)
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, broken(err)
	}
	z.Multistream(false)
	plain, err := io.ReadAll(io.LimitReader(z, int64(most)+1))
	switch {
	case err != nil:
		return nil, broken(err)
	case len(plain) > most:
		return nil, fmt.Errorf("more than %d MiB when it is decompressed, as no request is", most>>20)
	}
	rest, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	// An editor may have put a line break at the end.
	if len(bytes.TrimRight(rest, "\r\n")) > 0 {
		return nil, fmt.Errorf("%d more follow it", len(rest))
	}
	return plain, nil
}

func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the end is missing")
	}
	return errors.New("it was changed, and cannot be decompressed")
}

// asSigned says so of so many bytes of the body.
func (q *request) asSigned(n int) string {
	if q.packed > 0 {
		return fmt.Sprintf("%d bytes, as signed, in %d bytes of gzip: decompress before you verify", n, q.packed)
	}
	return fmt.Sprintf("%d bytes, as signed", n)
}
