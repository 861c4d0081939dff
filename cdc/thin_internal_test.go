package cdc

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// frame is a message of the protocol.
func frame(kind byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...)
}

// said is a logical message, as pgoutput sends it.
func said(prefix string, content []byte) []byte {
	body := append([]byte{'w'}, bytes.Repeat([]byte{7}, walHead-1)...)
	body = append(body, 'M', 1, 0, 0, 0, 0, 0, 0, 0, 9)
	body = append(append(body, prefix...), 0)
	return frame('d', append(binary.BigEndian.AppendUint32(body, uint32(len(content))), content...))
}

// TestThinner passes everything on as it came, in whatever pieces it comes and is taken, but for the content of large messages.
func TestThinner(t *testing.T) {
	t.Parallel()
	const most = 200
	random := rand.New(rand.NewPCG(1, 2))
	bytesOf := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.UintN(256))
		}
		return b
	}
	for range 300 {
		var in, want []byte
		for range random.IntN(12) {
			var f, thin []byte
			switch random.IntN(7) {
			case 0:
				f = frame('d', bytesOf(random.IntN(2*most)))
			case 1:
				f = frame('E', bytesOf(random.IntN(3*most)))
			case 2:
				f = frame('Z', nil)
			case 3: // a large row
				f = frame('d', append(append([]byte{'w'}, bytesOf(walHead-1)...), append([]byte{'I'}, bytesOf(random.IntN(2000))...)...))
			case 4:
				f = said("rowhook", bytesOf(random.IntN(100)))
			case 5:
				f, thin = said("rowhook", bytesOf(most+random.IntN(2000))), said("rowhook", nil)
			case 6:
				prefix := string(bytes.Repeat([]byte("p"), most+random.IntN(2000)))
				f, thin = said(prefix, bytesOf(random.IntN(2000))), said("", nil)
			}
			if thin == nil {
				thin = f
			}
			in, want = append(in, f...), append(want, thin...)
		}
		var r io.Reader = bytes.NewReader(in)
		switch random.IntN(3) {
		case 0:
			r = iotest.OneByteReader(r)
		case 1:
			r = iotest.HalfReader(r)
		}
		thin := &thinner{r: r, most: most}
		var got []byte
		buffer := make([]byte, 1+random.IntN(500))
		for {
			n, err := thin.Read(buffer[:1+random.IntN(len(buffer))])
			if got = append(got, buffer[:n]...); err == io.EOF {
				break
			}
			if n == 0 || err != nil {
				t.Fatalf("%d bytes, %v", n, err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes became %d, want %d", len(in), len(got), len(want))
		}
	}
}
