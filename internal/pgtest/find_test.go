package pgtest

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"
)

// testHost is a system that has the given files. The content of a postgres binary is what --version prints.
func testHost(goos string, env map[string]string, files fstest.MapFS) host {
	return host{
		goos:   goos,
		fsys:   files,
		getenv: func(key string) string { return env[key] },
		version: func(bin string) (string, error) {
			content, err := fs.ReadFile(files, strings.TrimPrefix(path.Join(bin, "postgres"), "/"))
			return string(content), err
		},
	}
}

// install adds binaries of a version to files.
func install(files fstest.MapFS, dir, version string) {
	for _, name := range []string{"initdb", "postgres"} {
		files[path.Join(dir[1:], name)] = &fstest.MapFile{Mode: 0o755, Data: []byte("postgres (PostgreSQL) " + version + "\n")}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	const debianPath = "/usr/local/bin:/usr/bin:/bin"
	tests := []struct {
		name      string
		goos      string
		env       map[string]string
		installed map[string]string // directory: version
		want      string
		major     int
	}{
		{"DebianNewestFirst", "linux", map[string]string{"PATH": debianPath},
			map[string]string{"/usr/lib/postgresql/9.6/bin": "9.6.24", "/usr/lib/postgresql/15/bin": "15.9 (Debian 15.9-0+deb12u1)", "/usr/lib/postgresql/16/bin": "16.4"},
			"/usr/lib/postgresql/16/bin", 16},
		{"DebianBeta", "linux", nil, map[string]string{"/usr/lib/postgresql/18/bin": "18beta1"}, "/usr/lib/postgresql/18/bin", 18},
		{"FedoraWithoutPath", "linux", nil, map[string]string{"/usr/bin": "16.3"}, "/usr/bin", 16},
		{"RHELWithPGDG", "linux", map[string]string{"PATH": "/usr/bin"},
			map[string]string{"/usr/pgsql-14/bin": "14.1", "/usr/pgsql-17/bin": "17.0"}, "/usr/pgsql-17/bin", 17},
		{"Alpine", "linux", map[string]string{"PATH": "/bin"},
			map[string]string{"/usr/libexec/postgresql15": "15.1", "/usr/libexec/postgresql16": "16.2"}, "/usr/libexec/postgresql16", 16},
		{"HomebrewOnAppleSilicon", "darwin", map[string]string{"PATH": "/usr/bin"},
			map[string]string{"/opt/homebrew/opt/postgresql@14/bin": "14.9 (Homebrew)", "/opt/homebrew/opt/postgresql@16/bin": "16.4 (Homebrew)"},
			"/opt/homebrew/opt/postgresql@16/bin", 16},
		{"HomebrewOnIntel", "darwin", nil, map[string]string{"/usr/local/opt/postgresql@15/bin": "15.2"}, "/usr/local/opt/postgresql@15/bin", 15},
		{"PostgresApp", "darwin", nil,
			map[string]string{"/Applications/Postgres.app/Contents/Versions/14/bin": "14.2", "/Applications/Postgres.app/Contents/Versions/16/bin": "16.1"},
			"/Applications/Postgres.app/Contents/Versions/16/bin", 16},
		{"PathBeforeUsualPlaces", "linux", map[string]string{"PATH": "relative:/opt/pg/bin:/usr/bin"},
			map[string]string{"/opt/pg/bin": "14.0", "/usr/lib/postgresql/16/bin": "16.4"}, "/opt/pg/bin", 14},
		{"TooOldOnPathIsPassedOver", "linux", map[string]string{"PATH": "/opt/pg/bin"},
			map[string]string{"/opt/pg/bin": "13.9", "/usr/lib/postgresql/15/bin": "15.4"}, "/usr/lib/postgresql/15/bin", 15},
		{"VariableBeforePath", "linux", map[string]string{"PATH": "/usr/bin", "ROWHOOK_PG_BIN": "/srv/pg"},
			map[string]string{"/srv/pg": "15.0", "/usr/bin": "16.0"}, "/srv/pg", 15},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{}
			for dir, version := range tt.installed {
				install(files, dir, version)
			}
			got, err := testHost(tt.goos, tt.env, files).find()
			if err != nil {
				t.Fatal(err)
			}
			if want := (binaries{dir: tt.want, major: tt.major}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestFindRefuses(t *testing.T) {
	t.Parallel()
	osRelease := func(text string) fstest.MapFS { return fstest.MapFS{"etc/os-release": {Data: []byte(text)}} }
	tooOld := osRelease("ID=debian\n")
	install(tooOld, "/usr/lib/postgresql/13/bin", "13.4")
	notExecutable := fstest.MapFS{"srv/pg/initdb": {Mode: 0o644}}
	tests := []struct {
		name     string
		goos     string
		env      map[string]string
		files    fstest.MapFS
		notFound bool // may be mended by fetching
		want     []string
	}{
		{"Debian", "linux", nil, osRelease("PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n"), true,
			[]string{"apt-get install postgresql", "ROWHOOK_PG_BIN", "ROWHOOK_TEST_DATABASE_URL"}},
		{"Ubuntu", "linux", nil, osRelease("ID=ubuntu\nID_LIKE=debian\n"), true, []string{"apt-get install postgresql"}},
		{"MintIsLikeUbuntu", "linux", nil, osRelease("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), true, []string{"apt-get install postgresql"}},
		{"Fedora", "linux", nil, osRelease("ID=fedora\n"), true, []string{"dnf install postgresql-server"}},
		{"RockyIsLikeRHEL", "linux", nil, osRelease("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), true, []string{"dnf install postgresql-server"}},
		{"Alpine", "linux", nil, osRelease("ID=alpine\n"), true, []string{"apk add postgresql"}},
		{"UnknownLinux", "linux", nil, fstest.MapFS{}, true, []string{"install the PostgreSQL server"}},
		{"MacOS", "darwin", nil, fstest.MapFS{}, true, []string{"brew install postgresql@16"}},
		{"OnlyTooOld", "linux", nil, tooOld, true, []string{"/usr/lib/postgresql/13/bin/postgres is version 13, 14 or newer is needed", "apt-get"}},
		{"VariableIsWrong", "linux", map[string]string{"ROWHOOK_PG_BIN": "/srv/none"}, fstest.MapFS{}, false,
			[]string{"use ROWHOOK_PG_BIN", "/srv/none/initdb"}},
		{"VariableHasNoBinaries", "linux", map[string]string{"ROWHOOK_PG_BIN": "/srv/pg"}, notExecutable, false, []string{"not executable"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := testHost(tt.goos, tt.env, tt.files).find()
			if err == nil {
				t.Fatal("got no error")
			}
			if got := errors.Is(err, ErrNotFound); got != tt.notFound {
				t.Errorf("is ErrNotFound: got %v, want %v: %v", got, tt.notFound, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to say %q", err, want)
				}
			}
		})
	}
}
