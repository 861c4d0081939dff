package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"
)

// get URL [HEADER: VALUE]… asks, and writes status and body to stdout.
func get(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := script{ts}.deadline()
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
	ts.Check(err)
	for i := 1; i+1 < len(args); i += 2 {
		r.Header.Set(args[i], args[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d %s\n", resp.StatusCode, body)
}

// until PATTERN PROGRAM ARGUMENT… runs a program again and again until its output has the pattern.
func until(ts *testscript.TestScript, _ bool, args []string) {
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	poll(ts, args[0], func() bool {
		return ts.Exec(args[1], args[2:]...) == nil && pattern.MatchString(ts.ReadFile("stdout"))
	})
}
