//go:build unix

package pgtest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestGivenServer(t *testing.T) {
	t.Parallel()
	s := Cluster(t, nil)
	run := func(t *testing.T, given string) (string, error) {
		t.Helper()
		cmd := exec.Command(testBinary(t, openDir(t)), "-test.run=^TestDatabase$", "-test.v")
		// No binaries: a server of its own would be noticed.
		cmd.Env = append(os.Environ(), "ROWHOOK_TEST_DATABASE_URL="+given, "ROWHOOK_PG_BIN=/nonexistent", "GOCOVERDIR=")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	t.Run("IsUsed", func(t *testing.T) {
		t.Parallel()
		out, err := run(t, s.URL("postgres"))
		if err != nil || !strings.Contains(out, "PASS: TestDatabase/IsEmptyAndCanReplicate") {
			t.Errorf("%v\n%s", err, out)
		}
		if left := queryText(t, s.URL("postgres"), "select count(*)::text from pg_database where datname like 'rowhook%'"); left != "0" {
			t.Errorf("%s databases are left", left)
		}
	})
	t.Run("IsRefusedWithAllReasons", func(t *testing.T) {
		t.Parallel()
		poor := Cluster(t, map[string]string{"wal_level": "replica"})
		if err := execute(poor.URL("postgres"), "create role humble login password 'x'"); err != nil {
			t.Fatal(err)
		}
		given := strings.Replace(poor.URL("postgres"), superuser+":"+poor.password, "humble:x", 1)
		out, err := run(t, given)
		if err == nil {
			t.Errorf("the tests ran:\n%s", out)
		}
		for _, want := range []string{"wal_level is replica", "ALTER SYSTEM SET wal_level = logical",
			`ALTER ROLE "humble" CREATEDB`, `ALTER ROLE "humble" REPLICATION`} {
			if !strings.Contains(out, want) {
				t.Errorf("got\n%s\nwant it to say %q", out, want)
			}
		}
	})
}

func TestWithDatabase(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"postgres://u:p@h:1/db?sslmode=disable": "postgres://u:p@h:1/new?sslmode=disable",
		"postgresql://h":                        "postgresql://h/new",
		"host=h user=u dbname=db":               "host=h user=u dbname=db dbname=new",
	} {
		if got := withDatabase(given, "new"); got != want {
			t.Errorf("%s: got %q, want %q", given, got, want)
		}
	}
}
