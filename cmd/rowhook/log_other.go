//go:build !unix

package main

import "os"

// debugSignals are those that switch debug on and off: there are none here.
var debugSignals []os.Signal
