//go:build unix

package main

import (
	"os"
	"syscall"
)

// debugSignals are those that switch debug on and off.
var debugSignals = []os.Signal{syscall.SIGUSR1}
