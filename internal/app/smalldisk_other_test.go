//go:build !linux

package app_test

import (
	"testing"

	"github.com/rowhook/rowhook/internal/pgtest"
)

func onSmallDisk(t *testing.T, _ *pgtest.Server) string {
	t.Skip("a small file system is mounted on Linux only; DiskFullByATrigger raises the same error")
	return ""
}
