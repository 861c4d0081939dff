package main

import "syscall"

// dieWithParent has the kernel end the process with the thread that forked it.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
