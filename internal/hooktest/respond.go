package hooktest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// respond carries out an answer. It ends early when the client goes or the receiver is closed.
func (r *Receiver) respond(w http.ResponseWriter, req *http.Request, a Answer) {
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	if !r.hold(ctx, a) {
		panic(http.ErrAbortHandler)
	}
	if a.Raw != "" || a.Break != 0 {
		r.respondBadly(ctx, w, a)
		return
	}
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	if a.Pace == 0 && !a.Endless {
		_, _ = w.Write([]byte(a.Body))
		return
	}
	flusher := http.NewResponseController(w)
	if flusher.Flush() != nil {
		return
	}
	for {
		whole := r.write(ctx, a, func(piece string) error {
			if _, err := w.Write([]byte(piece)); err != nil {
				return err
			}
			return flusher.Flush()
		})
		if !whole {
			panic(http.ErrAbortHandler) // so that net/http does not end it as if it were whole
		}
		if !a.Endless {
			return
		}
	}
}

// hold waits as long as the answer says. It is false if there is nobody to answer any more.
func (r *Receiver) hold(ctx context.Context, a Answer) bool {
	if a.Delay > 0 && !r.pause(ctx, a.Delay) {
		return false
	}
	if a.Until != nil && !r.wait(ctx, a.Until) {
		return false
	}
	if a.Hang {
		r.mu.Lock()
		released := r.released
		r.mu.Unlock()
		return r.wait(ctx, released)
	}
	return true
}

func (r *Receiver) wait(ctx context.Context, event <-chan struct{}) bool {
	select {
	case <-event:
		return true
	case <-ctx.Done():
	case <-r.closing:
	}
	return false
}

func (r *Receiver) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-r.closing:
	}
	return false
}

// write sends the body at its pace. It is false if it could not be sent to its end.
func (r *Receiver) write(ctx context.Context, a Answer, send func(string) error) bool {
	if a.Pace == 0 {
		select {
		case <-r.closing:
			return false
		default:
			return send(a.Body) == nil
		}
	}
	for i := range len(a.Body) {
		if !r.pause(ctx, a.Pace) || send(a.Body[i:i+1]) != nil {
			return false
		}
	}
	return true
}

// respondBadly takes the connection away from net/http, which would be too well-behaved.
func (r *Receiver) respondBadly(ctx context.Context, w http.ResponseWriter, a Answer) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	// net/http no longer knows the connection, so Close does not close it: a client that does not read would hold us up.
	sent, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-r.closing:
			_ = conn.Close()
		case <-sent:
		}
	}()
	defer func() {
		close(sent)
		<-watched
	}()
	a.Body = a.head() + a.Body
	if a.Raw != "" {
		a.Body = a.Raw
	}
	r.write(ctx, a, func(piece string) error {
		_, err := conn.Write([]byte(piece))
		return err
	})
	if a.Break == BreakReset {
		reset(conn)
	}
}

// head is the head of an answer whose body will be missing a byte, empty if the answer has no status.
func (a Answer) head() string {
	if a.Status == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n", a.Status, http.StatusText(a.Status), len(a.Body)+1)
	for name, value := range a.Header {
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	b.WriteString("\r\n")
	return b.String()
}

// reset closes the connection with a RST. TLS is bypassed: it would say goodbye.
func reset(conn net.Conn) {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
