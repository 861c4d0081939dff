package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// app FILE serves the file's lines: APP_URL. A line is an address as it stands in the request, and the JSON that
// it answers, or a status. Of lines with one address each is given once, in their order, and the last from then on. The
// file is read anew for each request, in which the login has to be "Bearer the-app-token".
func serveApp(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	given := map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer the-app-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		text, err := os.ReadFile(path)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		var answers []string
		for line := range strings.Lines(string(text)) {
			if address, answer, _ := strings.Cut(strings.TrimSpace(line), " "); address == r.RequestURI {
				answers = append(answers, answer)
			}
		}
		if len(answers) == 0 {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		answer := answers[min(given[r.RequestURI], len(answers)-1)]
		given[r.RequestURI]++ // the requests of a comparison come one after another
		if status, err := strconv.Atoi(answer); err == nil {
			w.WriteHeader(status)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, answer)
	}))
	ts.Defer(srv.Close)
	ts.Setenv("APP_URL", srv.URL)
}
