package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usageKnown says that the system tells what processes use.
const usageKnown = true

// tick is the unit of processor time in /proc: Linux shows hundredths on every machine that Go runs on.
const tick = 10 * time.Millisecond

// processorTime is the user and system time of a process, 0 if there is none. With children it has that of those that
// have ended too.
func processorTime(pid int, children bool) time.Duration {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	// The name, in parentheses, may hold anything; the fields are counted behind it.
	line := string(raw)
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	last := 13
	if children {
		last = 15
	}
	var ticks int64
	for _, f := range fields[11:last] {
		n, _ := strconv.ParseInt(f, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * tick
}

// memoryOf reads a line of a process's status in bytes: VmHWM is the most that was resident, RssAnon what is its own. The
// peak that wait4 tells would not do: it begins with that of the process that forked.
func memoryOf(pid int, line string) int64 {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	for l := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(l, line+":"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// childrenOf lists the processes whose parent is pid.
func childrenOf(pid int) []int {
	var list []int
	threads, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	for _, file := range threads {
		raw, _ := os.ReadFile(file)
		for _, f := range strings.Fields(string(raw)) {
			child, _ := strconv.Atoi(f)
			list = append(list, child)
		}
	}
	return list
}

// machine describes the processor, the memory and the kernel.
func machine() (m machineInfo) {
	cpu, _ := os.ReadFile("/proc/cpuinfo")
	for l := range strings.Lines(string(cpu)) {
		if name, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.Processor = strings.TrimSpace(value)
			break
		}
	}
	memory, _ := os.ReadFile("/proc/meminfo")
	if fields := strings.Fields(string(memory)); len(fields) > 1 && fields[0] == "MemTotal:" {
		kib, _ := strconv.ParseInt(fields[1], 10, 64)
		m.Memory = kib << 10
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	m.Kernel = strings.TrimSpace(string(kernel))
	return m
}
