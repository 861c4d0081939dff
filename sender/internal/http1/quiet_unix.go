//go:build unix

package http1

import "syscall"

// supported says that idle connections can be looked at.
const supported = true

// heard says that there is something to read from a socket, or its end. What it reads is lost.
func heard(fd uintptr) bool {
	var one [1]byte
	for {
		_, err := syscall.Read(int(fd), one[:])
		if err != syscall.EINTR {
			return err != syscall.EAGAIN
		}
	}
}
