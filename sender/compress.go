package sender

import (
	"bytes"
	"compress/gzip"
	"runtime"
	"sync"

	"github.com/rowhook/rowhook/sender/internal/http1"
)

// compressFrom is how large a body must be, in bytes, to be compressed: below it there is little to gain.
const compressFrom = 1 << 10

// gzipHeader says that a body is compressed.
var gzipHeader = http1.Field{Name: "Content-Encoding", Value: "gzip"}

// A compressor takes half a megabyte, so there are as many as can work at once.
var (
	compressors = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}
	compressing = make(chan struct{}, runtime.GOMAXPROCS(0))
)

// compressed is the body as gzip, in memory of its own.
func compressed(body []byte) []byte {
	compressing <- struct{}{}
	defer func() { <-compressing }()
	w := compressors.Get().(*gzip.Writer)
	defer compressors.Put(w)
	var out bytes.Buffer
	w.Reset(&out)
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	return out.Bytes()
}
