//go:build unix

package main

import (
	"bufio"
	"strings"
	"testing"
)

// TestAsk has the client ask the application, each a process of its own.
func TestAsk(t *testing.T) {
	t.Parallel()
	app, err := startRole("app", order{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := app.stop(); err != nil {
			t.Error(err)
		}
	}()
	orders := askOrders{Connections: 4, Warm: 0.01, Seconds: 0.2}
	if err := app.answer(t.Context(), &orders.Addr); err != nil {
		t.Fatal(err)
	}
	client, err := startRole("ask", orders)
	if err != nil {
		t.Fatal(err)
	}
	var begun string
	var got askResult
	if err := client.answer(t.Context(), &begun); err != nil {
		t.Fatal(err)
	}
	if err := client.answer(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	if err := client.stop(); err != nil {
		t.Error(err)
	}
	if begun != "begun" || got.Count < 4 || got.Asked != int64(got.Count) || got.P50 <= 0 || got.P99 < got.P50 || got.Seconds != 0.2 {
		t.Errorf("%q, %+v", begun, got)
	}
}

// TestReadAnswer takes what it knows, and tells of the rest.
func TestReadAnswer(t *testing.T) {
	t.Parallel()
	for answer, fine := range map[string]bool{
		"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok":                 true,
		"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno":        false,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": false,
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok":                 false,
	} {
		in := bufio.NewReader(strings.NewReader(answer))
		if err := readAnswer(in); (err == nil) != fine {
			t.Errorf("%q: %v", answer, err)
		}
	}
}
