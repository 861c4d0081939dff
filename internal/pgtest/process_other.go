//go:build unix && !linux

package pgtest

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// dieWithParent is Linux's alone; a watchdog does it here.
func dieWithParent(*syscall.SysProcAttr) {}

// watch starts the watchdog of a postmaster.
func watch(pid int) (release func(), err error) { return startWatchdog(pid) }

// commandLine is empty for a process that does not exist.
func commandLine(pid int) string {
	out, _ := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return string(out)
}

// freeSpace is asked of memory only, which is Linux's alone.
func freeSpace(string) uint64 { return 0 }

// children lists the processes whose parent is pid.
func children(pid int) []int {
	out, _ := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	var list []int
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) == 2 && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(fields[0])
			list = append(list, child)
		}
	}
	return list
}
