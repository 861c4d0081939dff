package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// thisHost is the system we run on.
func thisHost() host {
	return host{
		goos: runtime.GOOS,
		fsys: os.DirFS("/"),
		getenv: func(key string) string {
			value := os.Getenv(key)
			if key == "ROWHOOK_PG_BIN" && value != "" {
				if abs, err := filepath.Abs(value); err == nil {
					return abs
				}
			}
			return value
		},
		version: func(bin string) (string, error) {
			out, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output()
			return string(out), err
		},
	}
}

// locate finds the binaries, or fetches them where there are none.
func locate(ctx context.Context, opts Options, user *account) (binaries, error) {
	h := thisHost()
	if opts.Bin != "" {
		return h.probe(opts.Bin)
	}
	found, err := h.find()
	if err == nil || !errors.Is(err, ErrNotFound) || opts.NoFetch {
		return found, err
	}
	f, fetchErr := newFetcher(user, opts.progress)
	if fetchErr != nil {
		return binaries{}, fmt.Errorf("%w (%w)", err, fetchErr)
	}
	dir, fetchErr := f.fetch(ctx)
	if fetchErr != nil {
		return binaries{}, fmt.Errorf("%w (%w)", err, fetchErr)
	}
	return h.probe(dir)
}
