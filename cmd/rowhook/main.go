// Command rowhook turns the changes of a Postgres database into signed webhooks. This package is flags, signals, exit
// codes and printing; package app does the work.
package main

import (
	"context"
	"io"
	"os"
)

// The exit codes.
const (
	exitOK = iota
	// exitRefused means that it was told why something could not be done.
	exitRefused
	// exitUsage means that the command line was not understood.
	exitUsage
	// exitInterrupted is what a shell gives to a program that SIGINT ended.
	exitInterrupted = 130
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run does what the arguments say and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	p := &program{stdout: stdout, stderr: stderr}
	root := p.rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(context.Background())
	return p.exit(cmd, err)
}
