package app_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// onSmallDisk puts the store's tables on a file system of 32 MB. Mounting one takes root; elsewhere the trigger alone has
// to do.
func onSmallDisk(t *testing.T, server *pgtest.Server) string {
	dir := diskOf(server)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=32m"); errors.Is(err, syscall.EPERM) {
		t.Skip("only root can mount a small file system; DiskFullByATrigger raises the same error")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The server's own clean-up comes later.
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	home, err := os.Stat(filepath.Join(server.Dir()))
	if err != nil {
		t.Fatal(err)
	}
	owner := home.Sys().(*syscall.Stat_t)
	if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	url := server.Database(t)
	name := url[strings.LastIndexByte(url, '/')+1:]
	name, _, _ = strings.Cut(name, "?")
	conn := connect(t, server.URL("postgres"))
	mustExec(t, conn, fmt.Sprintf(`create tablespace small location '%s'`, dir))
	mustExec(t, conn, fmt.Sprintf(`alter database %s set tablespace small`, name))
	return url
}
