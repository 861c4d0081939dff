package config

import (
	"cmp"

	"github.com/jackc/pgx/v5/pgconn"
)

// Name is that of the database, by its connection string, which was parsed before.
func (d Database) Name() string {
	c, err := pgconn.ParseConfig(d.URL.Reveal())
	if err != nil {
		return ""
	}
	return cmp.Or(c.Database, c.User) // as the server has it
}
