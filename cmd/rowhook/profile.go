//go:build profile && unix

package main

import (
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
)

// init writes a CPU profile of the process to the file that ROWHOOK_CPU_PROFILE names, from the start to SIGUSR2. The file
// has its name when it is whole. It is in no program that is built without the tag.
func init() {
	name := os.Getenv("ROWHOOK_CPU_PROFILE")
	if name == "" {
		return
	}
	f, err := os.Create(name + ".part")
	if err != nil {
		panic(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		panic(err)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGUSR2)
	go func() {
		<-end
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			panic(err)
		}
		if err := os.Rename(f.Name(), name); err != nil {
			panic(err)
		}
	}()
}
