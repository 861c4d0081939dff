package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/secret"
)

// postgresURL is a connection string. Nothing of pgconn's own errors is shown: they quote it.
func postgresURL(examples ...any) scalar[secret.String] {
	const hint = "write postgres://user:password@host:5432/database; signs such as @ / # % in the password are written as %40 %2F %23 %25"
	return scalar[secret.String]{
		want:   "a Postgres URL",
		hint:   hint,
		secret: true,
		parse: func(s string) (secret.String, *mistake) {
			if strings.TrimSpace(s) == "" {
				return "", &mistake{is: "is empty"}
			}
			if scheme, _, found := strings.Cut(s, "://"); found && scheme != "postgres" && scheme != "postgresql" {
				return "", &mistake{is: "is not a Postgres URL"}
			}
			c, err := pgconn.ParseConfig(s)
			var file *fs.PathError
			switch {
			case errors.As(err, &file):
				return "", &mistake{is: "names a certificate or key file that cannot be read", hint: "look at sslrootcert, sslcert and sslkey"}
			case err != nil:
				return "", &mistake{is: "is not a Postgres URL"}
			}
			if _, found := c.RuntimeParams["replication"]; found {
				return "", &mistake{is: `sets "replication"`, hint: "leave it out: rowhook sets it where it is needed"}
			}
			return secret.String(s), nil
		},
		json: jsonObject{{"type", "string"}, {"examples", examples}},
	}
}

// environmentOf is host:port/database of a connection string that was parsed before.
func environmentOf(dsn secret.String) string {
	c, err := pgconn.ParseConfig(dsn.Reveal())
	if err != nil {
		return ""
	}
	at := net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
	if strings.HasPrefix(c.Host, "/") {
		at = fmt.Sprintf("%s:%d", c.Host, c.Port)
	}
	if c.Database == "" {
		return at
	}
	return at + "/" + c.Database
}

// environmentName is a name that is shown in logs and kept in the store.
func environmentName() scalar[string] {
	return checked("a name", "write a short name such as production", func(s string) *mistake {
		u, err := url.Parse(s)
		switch {
		case strings.Contains(s, "://") || err == nil && u.User != nil || strings.Contains(s, "password="):
			return &mistake{is: "looks like a connection string, which would be shown in logs"}
		case len(s) > 200 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return &mistake{is: "is not a short name"}
		}
		return nil
	}, "production", "staging")
}

var (
	slotPattern       = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)
	identifierPattern = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)
)

// slotName is the name of a replication slot.
// https://www.postgresql.org/docs/current/warm-standby.html#STREAMING-REPLICATION-SLOTS-MANIPULATION
func slotName() scalar[string] {
	return matching("a slot name", slotPattern, "use lower-case letters, digits and _, at most 63", "rowhook")
}

// identifier is an SQL name that needs no quotes.
func identifier(what string) scalar[string] {
	return matching(what, identifierPattern, "use lower-case letters, digits and _, not a digit first, at most 63", "rowhook")
}

// schemaName is the name of a schema that is rowhook's alone.
func schemaName() scalar[string] {
	k := identifier("a schema name")
	plain := k.parse
	k.parse = func(s string) (string, *mistake) {
		if _, wrong := plain(s); wrong != nil {
			return "", wrong
		}
		if s == "public" || s == "information_schema" || strings.HasPrefix(s, "pg_") {
			return "", &mistake{is: "is not rowhook's to use", hint: "give it a schema of its own, such as rowhook"}
		}
		return s, nil
	}
	return k
}

// maxIdentifier is how many bytes of a name Postgres keeps.
const maxIdentifier = 63

// tableName is a table with or without its schema, each name quoted or not.
func tableName() scalar[cdc.TableName] {
	const hint = `write contacts, app.contacts or, where the names need it, '"My Schema"."My Table"'`
	return scalar[cdc.TableName]{
		want:  "a table name",
		hint:  hint,
		parse: parseTable,
		json: jsonObject{
			{"type", "string"},
			{"examples", []any{"contacts", "app.contacts", `"My Schema"."My Table"`}},
		},
	}
}

func parseTable(s string) (cdc.TableName, *mistake) {
	if s == "" {
		return cdc.TableName{}, &mistake{is: "is empty"}
	}
	var names []string
	for rest := s; ; {
		name, after, wrong := cutIdentifier(rest)
		if wrong != nil {
			return cdc.TableName{}, wrong
		}
		names = append(names, name)
		if after == "" {
			break
		}
		rest = after[1:]
	}
	switch len(names) {
	case 1:
		return cdc.TableName{Schema: "public", Name: names[0]}, nil
	case 2:
		return cdc.TableName{Schema: names[0], Name: names[1]}, nil
	}
	return cdc.TableName{}, &mistake{is: "has more than a schema and a name"}
}

var plainIdentifier = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_$]*`)

// cutIdentifier takes the name at the front of s. What is left is empty or begins with the dot before the next.
func cutIdentifier(s string) (name, rest string, wrong *mistake) {
	if quoted, ok := strings.CutPrefix(s, `"`); ok {
		for i := 0; i < len(quoted); i++ {
			if quoted[i] != '"' {
				continue
			}
			if i+1 < len(quoted) && quoted[i+1] == '"' {
				i++
				continue
			}
			name, rest = strings.ReplaceAll(quoted[:i], `""`, `"`), quoted[i+1:]
			break
		}
	} else {
		name = plainIdentifier.FindString(s)
		rest = s[len(name):]
		if folded := strings.ToLower(name); folded != name && (rest == "" || rest[0] == '.') {
			return "", "", &mistake{
				is:   "has capital letters without quotes, which SQL takes for small ones",
				hint: fmt.Sprintf(`write %s, or '"%s"' if the name really has them`, folded, name),
			}
		}
	}
	switch {
	case name == "" || rest != "" && rest[0] != '.' || strings.ContainsRune(name, 0):
		return "", "", &mistake{is: "is not a table name"}
	case len(name) > maxIdentifier:
		return "", "", &mistake{is: fmt.Sprintf("has a name of more than %d bytes", maxIdentifier), hint: "Postgres cuts such names: write what the catalog has"}
	}
	return name, rest, nil
}
