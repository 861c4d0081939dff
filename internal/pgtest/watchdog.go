//go:build unix

package pgtest

import (
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"
)

// startWatchdog starts a shell that ends the server when we are gone: it reads a pipe of which we hold the only other
// end. A line means that all is well and the server has ended; the end of the file means that we died. It is for
// systems whose kernel cannot tie a child's life to its parent's.
func startWatchdog(pid int) (release func(), err error) {
	cmd := exec.Command("/bin/sh", "-c", `read -r line || kill -QUIT "$1"`, "rowhook-pg-watchdog", strconv.Itoa(pid))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make the watchdog's pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return func() {
		_, _ = io.WriteString(pipe, "done\n")
		_ = pipe.Close()
		_ = cmd.Wait()
	}, nil
}
