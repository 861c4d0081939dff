package cdc

import (
	"bytes"
	"encoding/binary"
	"io"
)

// Anybody who may log in to the source may write a logical message of up to a gigabyte, with any prefix: the server asks
// for no privilege. None of ours is near thinAbove bytes, so what is larger loses its content before it is taken for what
// the stream cannot hold, and takes no memory. The bound is a constant, but where rows have a smaller one, since sizes
// make the blocks.
const thinAbove = 1 << 20

const (
	// frameHead is the type and the length of a message of the protocol; walHead what a CopyData of the log begins with;
	// saidHead what pgoutput puts before the prefix: M, flags, position.
	frameHead = 5
	walHead   = 25
	saidHead  = 10
	// prefixMax is how long a prefix may be that is kept, with its zero.
	prefixMax = 64
	thinHead  = frameHead + walHead + saidHead + prefixMax
)

// thinner passes on what the server sends, but for the content of logical messages in frames larger than most. It buffers
// no more than the beginning of one frame.
type thinner struct {
	r    io.Reader
	most int
	// head is the beginning of a frame that has not arrived whole, in array; out what is to be passed on before all else.
	head, out []byte
	array     [thinHead]byte
	// left is how much of the frame is to be passed on, skip how much is to be left out.
	left, skip int
}

// need is how much of a frame has to be there to decide what becomes of it.
func (t *thinner) need(head []byte) int {
	if len(head) < frameHead {
		return frameHead
	}
	if size := int(int32(binary.BigEndian.Uint32(head[1:]))); head[0] == 'd' && size-4 > t.most && size >= thinHead {
		return thinHead
	}
	return frameHead
}

// begin decides what becomes of a frame whose head is there, and returns what is passed on of the head.
func (t *thinner) begin(head []byte) []byte {
	size := int(int32(binary.BigEndian.Uint32(head[1:]))) + 1
	t.left = max(size-len(head), 0)
	if len(head) < thinHead || head[frameHead] != 'w' || head[frameHead+walHead] != 'M' {
		return head
	}
	t.left, t.skip = 0, t.left
	end := frameHead + walHead + saidHead
	if i := bytes.IndexByte(head[end:], 0); i >= 0 {
		end += i
	}
	thin := append(head[:end:end], 0, 0, 0, 0, 0) // the end of the prefix, and a content of no bytes
	binary.BigEndian.PutUint32(thin[1:], uint32(len(thin)-1))
	return thin
}

// Read implements io.Reader.
func (t *thinner) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if len(t.out) > 0 {
			n := copy(p, t.out)
			t.out = t.out[n:]
			return n, nil
		}
		if len(t.head) > 0 {
			for need := t.need(t.head); len(t.head) < need; need = t.need(t.head) {
				n, err := t.r.Read(t.array[len(t.head):need])
				if t.head = t.array[:len(t.head)+n]; err != nil {
					return 0, err
				}
			}
			t.out, t.head = t.begin(t.head), nil
			continue
		}
		n, err := t.r.Read(p)
		if kept := t.scan(p[:n]); kept > 0 || err != nil {
			return kept, err
		}
	}
	return 0, nil
}

// scan leaves in p what is to be passed on, and returns how much it is.
func (t *thinner) scan(p []byte) (kept int) {
	for len(p[kept:]) > 0 {
		rest := p[kept:]
		switch {
		case t.skip > 0:
			n := min(t.skip, len(rest))
			t.skip -= n
			p = p[:kept+copy(rest, rest[n:])]
		case t.left > 0:
			n := min(t.left, len(rest))
			t.left -= n
			kept += n
		case len(rest) < t.need(rest):
			t.head = t.array[:copy(t.array[:], rest)]
			return kept
		default:
			head := rest[:t.need(rest)]
			thin := t.begin(head)
			n := copy(rest, thin)
			kept += n
			if n < len(head) {
				p = p[:kept+copy(rest[n:], rest[len(head):])]
			}
		}
	}
	return kept
}
