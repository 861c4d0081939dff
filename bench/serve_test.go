//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"
)

// startServer serves one run with the manners until the test ends.
func startServer(t *testing.T, m manners) (*server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{}
	s.state.Store(newState(m))
	var wg sync.WaitGroup
	wg.Go(func() { s.serve(l) })
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return s, l.Addr().String()
}

// eventBody is an event of the benchmark, padded to a size.
func eventBody(id, seq, size int) string {
	body := fmt.Sprintf(`{"type":"item.create","timestamp":"2026-11-22T01:00:00.123456Z","data":{"id":%d,"seq":%d,"sent":0,"note":"`, id, seq)
	return body + strings.Repeat("n", max(0, size-len(body)-3)) + `"}}`
}

func postOf(body string) string {
	return fmt.Sprintf("POST /hooks HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: %d\r\n\r\n%s", len(body), body)
}

// TestServeInPieces shows that requests are read whole, and each one once, however they are cut and however many come at
// once.
func TestServeInPieces(t *testing.T) {
	t.Parallel()
	var all bytes.Buffer
	const requests = 6
	for n := range requests {
		// The third is larger than the first buffer.
		all.WriteString(postOf(eventBody(7, n, map[int]int{2: 3 * firstBuffer}[n])))
	}
	for _, piece := range []int{1, 2, 3, 5, 700, firstBuffer, all.Len()} {
		s, addr := startServer(t, manners{Body: "ok"})
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		go func() {
			for rest := all.Bytes(); len(rest) > 0; rest = rest[min(piece, len(rest)):] {
				if _, err := conn.Write(rest[:min(piece, len(rest))]); err != nil {
					return // the reader says it
				}
			}
		}()
		answers := bufio.NewReader(conn)
		for n := range requests {
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatalf("pieces of %d: answer %d: %v", piece, n, err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != 200 || string(body) != "ok" {
				t.Fatalf("pieces of %d: answer %d is %s, %q, %v", piece, n, resp.Status, body, err)
			}
		}
		got := s.state.Load().receipts(false)
		if got.Distinct != requests || got.Requests != requests || got.Doubled+got.Disordered+got.Strange != 0 {
			t.Errorf("pieces of %d: got %+v", piece, got)
		}
	}
}

// TestServeClient shows that Go's client keeps its connection, that a delay is kept, and that a run has the manners it
// began with.
func TestServeClient(t *testing.T) {
	t.Parallel()
	const delay = 20 * time.Millisecond
	s, addr := startServer(t, manners{Slow: map[string]time.Duration{"/slow": delay}})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	made := 0
	send := func(path string, seq int) (string, time.Duration) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, "http://"+addr+path, strings.NewReader(eventBody(1, seq, 500)))
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		resp, err := client.Do(req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			ConnectDone: func(string, string, error) { made++ }})))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("the answer is %s, %v", resp.Status, err)
		}
		return string(body), time.Since(begun)
	}
	for n := range 3 {
		if body, _ := send("/fast", n); body != "" {
			t.Errorf("the answer has the body %q", body)
		}
	}
	if _, took := send("/slow", 0); took < delay {
		t.Errorf("the answer took %s, want %s at least", took, delay)
	}
	if got := s.state.Load().receipts(false); got.Distinct != 4 || got.Strange != 0 {
		t.Errorf("got %+v", got)
	}
	s.state.Store(newState(manners{Body: "later"}))
	if body, _ := send("/fast", 0); body != "later" {
		t.Errorf("in the next run the answer has the body %q", body)
	}
	if got := s.state.Load().receipts(false); got.Distinct != 1 || got.Doubled != 0 {
		t.Errorf("the next run has %+v", got)
	}
	if made != 1 {
		t.Errorf("%d connections were made, want 1", made)
	}
}

// TestServeRefuses shows that what is not understood is refused, told, and no receipt.
func TestServeRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, sent, status string }{
		{"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "501"},
		{"expectation", "POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n", "417"},
		{"old version", "POST / HTTP/1.0\r\n\r\n", "505"},
		{"no path", "POST HTTP/1.1\r\n\r\n", "400"},
		{"no header", "POST / HTTP/1.1\r\nnonsense\r\n\r\n", "400"},
		{"folded header", "POST / HTTP/1.1\r\nA: b\r\n c: d\r\n\r\n", "400"},
		{"two lengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"},
		{"negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"},
		{"large body", fmt.Sprintf("POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n", maxBody+1), "400"},
		{"large head", "POST / HTTP/1.1\r\nA: " + strings.Repeat("b", maxHead) + "\r\n", "431"},
	} {
		s, addr := startServer(t, manners{})
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.WriteString(conn, c.sent); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 "+c.status) {
			t.Errorf("%s: got %q, %v", c.name, answer, err)
		}
		if got := s.state.Load().receipts(false); got.Strange != 1 || got.Distinct != 0 {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
	// One that asks to be the last is answered, and one that is cut off is nothing.
	s, addr := startServer(t, manners{})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	body := eventBody(1, 0, 0)
	last := strings.Replace(postOf(body), "Host: a", "Connection: close", 1)
	if _, err := io.WriteString(conn, last); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		t.Errorf("the last request: got %q, %v", answer, err)
	}
	cut, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer cut.Close()
	_ = cut.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(cut, last[:len(last)-1]); err != nil {
		t.Fatal(err)
	}
	_ = cut.(*net.TCPConn).CloseWrite()
	if answer, err := io.ReadAll(cut); err != nil || len(answer) > 0 {
		t.Errorf("a request that was cut off was answered with %q, %v", answer, err)
	}
	if got := s.state.Load().receipts(false); got.Distinct != 1 || got.Requests != 1 || got.Strange != 0 {
		t.Errorf("got %+v", got)
	}
}
