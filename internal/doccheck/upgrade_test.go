package doccheck

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// upgrade does the steps of an upgrade of Postgres, and goes back to the server before, where the other commands go on.
type upgrade struct {
	*site
	steps int
	to    *pgtest.Server
	// left says that pg_dump is older than the server here.
	left bool
}

// step runs a block, with what the text says to do between it and the one before.
func (u *upgrade) step(b block, rowhook **process) {
	u.t.Helper()
	u.steps++
	if u.left {
		return
	}
	file := filepath.Join(u.dir, "rowhook.env")
	switch u.steps {
	case 1:
		if out := u.run(b); !strings.Contains(out, "drained up to ") {
			u.t.Errorf("%s printed %q", b, out)
		}
		(*rowhook).stop()
	case 2:
		needs(u.t, "pg_dump")
		u.to = pgtest.Cluster(u.t, nil)
		login := regexp.MustCompile(`(?m)^DATABASE_URL=['"]?([^'"\n]*)`).FindStringSubmatch(readFile(u.t, file))
		at, err := url.Parse(login[1])
		if err != nil {
			u.t.Fatal(err)
		}
		password, _ := at.User.Password()
		for _, statement := range []string{"create database crm", "create role rowhook login replication password '" + password + "'"} {
			if err := sql(u.t, u.to.URL("postgres"), statement); err != nil {
				u.t.Fatal(err)
			}
		}
		b.text = strings.Replace(b.text, "postgres://postgres:secret@localhost:5433/crm", u.to.URL("crm"), 1)
		if _, told, err := u.try(b); strings.Contains(told, "server version mismatch") {
			u.left = true
			u.restart(rowhook)
			(*rowhook).prints("msg=ready")
		} else if err != nil {
			u.t.Fatalf("%s: %v: %s", b, err, told)
		}
	case 3:
		before := readFile(u.t, file)
		from, to := fmt.Sprintf(":%d/", u.server.Port()), fmt.Sprintf(":%d/", u.to.Port())
		moved := strings.ReplaceAll(before, from, to)
		if moved == before {
			u.t.Fatalf("rowhook.env does not have %s", from)
		}
		u.save(file, moved)
		u.restart(rowhook)
		(*rowhook).prints("rowhook resume --drained")
		if out := u.run(b); !strings.Contains(out, "confirmed (other_database): replication goes on, nothing is lost") {
			u.t.Errorf("%s printed %q", b, out)
		}
		(*rowhook).prints("msg=ready")
		(*rowhook).stop()
		u.save(file, before)
		u.restart(rowhook)
		(*rowhook).prints("msg=ready")
	}
}

// restart runs the README's command again.
func (u *upgrade) restart(rowhook **process) {
	u.t.Helper()
	for _, again := range blocks(u.t, "README.md") {
		if again.lang == "sh" && again.under == "Run it for real" && again.last() == runStep {
			*rowhook = u.start(again)
		}
	}
}

func (u *upgrade) save(file, text string) {
	u.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		u.t.Fatal(err)
	}
}
