package pgtest

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// minMajor is the oldest Postgres that rowhook supports.
const minMajor = 14

// ErrNotFound is wrapped by the error that says that this system has no usable Postgres binaries.
var ErrNotFound = errors.New("no Postgres found")

// A host is what finding needs to know of a system. Tests make one for each system without having it.
type host struct {
	goos    string
	fsys    fs.FS                            // the whole file system, from its root
	getenv  func(string) string              // the environment
	version func(bin string) (string, error) // what "bin/postgres --version" prints
}

// binaries is a directory with initdb and postgres of one version.
type binaries struct {
	dir   string
	major int
}

// usualPlaces are where packages put initdb and postgres when they do not put them on the PATH.
var usualPlaces = map[string][]string{
	"linux": {
		"/usr/lib/postgresql/*/bin",        // Debian, Ubuntu
		"/usr/bin",                         // Fedora, Arch
		"/usr/pgsql-*/bin",                 // the PGDG packages for Fedora and RHEL
		"/usr/libexec/postgresql*",         // Alpine
		"/usr/lib/postgresql*/bin",         // openSUSE
		"/usr/local/pgsql/bin",             // built from source
		"/home/linuxbrew/.linuxbrew/bin",   // Homebrew on Linux
		"/opt/bitnami/postgresql/bin",      // Bitnami images
		"/usr/local/bin",                   // the official image, Alpine variant
		"/run/current-system/sw/bin",       // NixOS
		"/usr/lib/postgresql-*/bin",        // Gentoo, older
		"/usr/lib64/postgresql-*/bin",      // Gentoo
		"/usr/lib/postgresql/postgres/bin", // Void
	},
	"darwin": {
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/opt/homebrew/bin",
		"/usr/local/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/opt/local/lib/postgresql*/bin", // MacPorts
		"/Library/PostgreSQL/*/bin",      // EDB installer
	},
	"freebsd": {"/usr/local/bin"},
}

// find names the directory of the binaries to use: ROWHOOK_PG_BIN alone if it is set, else the first fit one of the
// PATH and then of the usual places, newest first. It fails with [ErrNotFound] and says what to install.
func (h host) find() (binaries, error) {
	if dir := h.getenv("ROWHOOK_PG_BIN"); dir != "" {
		b, err := h.probe(dir)
		if err != nil {
			return binaries{}, fmt.Errorf("use ROWHOOK_PG_BIN: %w", err)
		}
		return b, nil
	}
	var unfit []string // one reason per place that has binaries and cannot be used
	for _, dir := range h.candidates() {
		b, err := h.probe(dir)
		switch {
		case err == nil:
			return b, nil
		case !errors.Is(err, fs.ErrNotExist):
			unfit = append(unfit, err.Error())
		}
	}
	if len(unfit) > 0 {
		return binaries{}, fmt.Errorf("%w that can be used (%s); hint: %s", ErrNotFound, strings.Join(unfit, "; "), h.hint())
	}
	return binaries{}, fmt.Errorf("%w; hint: %s", ErrNotFound, h.hint())
}

// candidates lists the directories to look into, in order.
func (h host) candidates() []string {
	var dirs []string
	separator := ":"
	if h.goos == "windows" {
		separator = ";"
	}
	for _, dir := range strings.Split(h.getenv("PATH"), separator) {
		if strings.HasPrefix(dir, "/") {
			dirs = append(dirs, path.Clean(dir))
		}
	}
	for _, pattern := range usualPlaces[h.goos] {
		found, _ := fs.Glob(h.fsys, strings.TrimPrefix(pattern, "/"))
		slices.SortFunc(found, func(a, b string) int { return cmp.Compare(lastNumber(b), lastNumber(a)) })
		for _, dir := range found {
			dirs = append(dirs, "/"+dir)
		}
	}
	return dirs
}

// probe says whether the directory has the binaries of a supported version. The error is fs.ErrNotExist where there
// are none.
func (h host) probe(dir string) (binaries, error) {
	for _, name := range []string{"initdb", "postgres"} {
		file := path.Join(dir, name)
		info, err := fs.Stat(h.fsys, strings.TrimPrefix(file, "/"))
		if err != nil {
			return binaries{}, fmt.Errorf("look for %s: %w", file, err)
		}
		if info.IsDir() || info.Mode()&0o111 == 0 {
			return binaries{}, fmt.Errorf("look for %s: not executable", file)
		}
	}
	printed, err := h.version(dir)
	if err != nil {
		return binaries{}, fmt.Errorf("run %s --version: %w", path.Join(dir, "postgres"), err)
	}
	major, err := parseMajor(printed)
	if err != nil {
		return binaries{}, fmt.Errorf("read the version of %s: %w", path.Join(dir, "postgres"), err)
	}
	if major < minMajor {
		return binaries{}, fmt.Errorf("%s is version %d, %d or newer is needed", path.Join(dir, "postgres"), major, minMajor)
	}
	return binaries{dir: dir, major: major}, nil
}

// hint says how to get Postgres on this system.
func (h host) hint() string {
	return h.install() + ", or set ROWHOOK_PG_BIN to the directory of initdb and postgres; " +
		"tests also take a running server in ROWHOOK_TEST_DATABASE_URL"
}

// install is the command or advice that brings Postgres onto this system.
func (h host) install() string {
	switch h.goos {
	case "darwin":
		return "brew install postgresql@16"
	case "windows":
		return "use WSL"
	case "freebsd":
		return "pkg install postgresql16-server"
	}
	release, _ := fs.ReadFile(h.fsys, "etc/os-release")
	for _, id := range releaseIDs(string(release)) {
		switch id {
		case "debian", "ubuntu":
			return "apt-get install postgresql"
		case "fedora", "rhel", "centos", "rocky", "almalinux", "amzn":
			return "dnf install postgresql-server"
		case "alpine":
			return "apk add postgresql"
		case "arch":
			return "pacman -S postgresql"
		case "suse", "opensuse":
			return "zypper install postgresql-server"
		}
	}
	return "install the PostgreSQL server"
}

// releaseIDs are ID and then ID_LIKE of an os-release file.
func releaseIDs(release string) []string {
	values := map[string]string{}
	for line := range strings.Lines(release) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[key] = strings.Trim(value, `"'`)
	}
	return append(strings.Fields(values["ID"]), strings.Fields(values["ID_LIKE"])...)
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// parseMajor reads "postgres (PostgreSQL) 15.9 (Debian …)", and "18beta1" as 18.
func parseMajor(printed string) (int, error) {
	m := versionPattern.FindStringSubmatch(printed)
	if m == nil {
		return 0, fmt.Errorf("no version in %q", strings.TrimSpace(printed))
	}
	return strconv.Atoi(m[1])
}

var numberPattern = regexp.MustCompile(`\d+(?:\.\d+)?`)

// lastNumber is the version in a path such as /usr/lib/postgresql/16/bin, 0 if it has none.
func lastNumber(dir string) float64 {
	all := numberPattern.FindAllString(dir, -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.ParseFloat(all[len(all)-1], 64)
	return n
}
