package main

import (
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// tests runs all tests, and ends the server that they share.
type tests struct{ m *testing.M }

func (t tests) Run() int { return pgtest.Run(t.m) }

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"rowhook": main})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(15 * time.Minute),
		Setup:               setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"database": database,
			"cluster":  cluster,
			"sql":      sql,
			"with":     with,
			"start":    start,
			"await":    await,
			"signal":   sendSignal,
			"ended":    ended,
			"capture":  capture,
			"paste":    paste,
			"gone":     gone,
			"receiver": receiver,
			"app":      serveApp,
			"arrives":  arrives,
			"ready":    ready,
			"get":      get,
			"until":    until,
		},
	})
}
