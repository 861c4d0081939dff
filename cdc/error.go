package cdc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhook/rowhook/internal/finding"
)

// Class says what an Error means for who runs into it.
type Class uint8

// The classes.
const (
	// Unavailable passes by itself: the server is away, starting, stopping or full. Try again.
	Unavailable Class = iota + 1
	// Refused needs a change of settings, privileges or configuration.
	Refused
	// Gap means that changes may be lost: only the operator can decide how to go on.
	Gap
)

// Error is trouble with the source that a person has to understand. It never holds a password or a row's values.
type Error struct {
	Class Class
	// What is wrong, and Mend: the next step, which may be several lines of SQL. Mend may be empty.
	What, Mend string
	// Err is the cause, or nil.
	Err error
	// Incident is what has to be accepted to go on; nil but for some of class Gap.
	Incident *Incident
	// SQL is what of the mend is SQL, for whoever may run it.
	SQL []finding.Statement
}

// Finding is the error as one of several things that are told together.
func (e *Error) Finding(place, consequence string) finding.Finding {
	f := finding.Finding{Level: finding.Error, Place: place, What: e.What, Consequence: consequence, Mend: e.Mend, SQL: e.SQL}
	if e.Err != nil {
		f.What += ": " + e.Err.Error()
	}
	return f
}

// Error is What, the cause, and the hint.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.What)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Mend != "" {
		fmt.Fprintf(&b, "\n  hint: %s", e.Mend)
	}
	return b.String()
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf is the class of an error of this package: Unavailable for those that are not an Error.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Unavailable
}

// IncidentOf is the incident that an error of this package tells, or nil.
func IncidentOf(err error) *Incident {
	var e *Error
	if errors.As(err, &e) {
		return e.Incident
	}
	return nil
}

// SQLState is the SQLSTATE of a server's error in the chain, or "".
func SQLState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// cause is an error's text without what could hold a row's values or a password: of a server's error the message and
// the code, never the detail.
func cause(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return &shortError{text: fmt.Sprintf("%s (SQLSTATE %s)", pg.Message, pg.Code), err: err}
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		text := strings.TrimSpace(connect.Unwrap().Error())
		if i := strings.LastIndexByte(text, '\n'); i >= 0 {
			text = strings.TrimSpace(text[i+1:])
		}
		return &shortError{text: text, err: err}
	}
	return err
}

type shortError struct {
	text string
	err  error
}

func (e *shortError) Error() string { return e.text }
func (e *shortError) Unwrap() error { return e.err }

// connectError tells why a connection could not be made.
func connectError(what string, cfg *pgconn.Config, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	e := &Error{Class: Unavailable, What: fmt.Sprintf("%s at %s:%d/%s", what, cfg.Host, cfg.Port, cfg.Database), Err: cause(err)}
	switch code := SQLState(err); code {
	case "28P01":
		e.Class = Refused
		e.Mend = fmt.Sprintf("the password of role %q is wrong or missing: mend it in database.url", cfg.User)
	case "28000":
		e.Class = Refused
		e.Mend = fmt.Sprintf("the role %q may not log in this way; pg_hba.conf needs a line such as\n"+
			"    host  %s  %s  <address of rowhook>  scram-sha-256\n"+
			"    (the database's name, not the keyword replication, which is for physical replication)", cfg.User, cfg.Database, cfg.User)
	case "3D000":
		e.Class = Refused
		e.Mend = fmt.Sprintf("there is no database %q on that server: mend database.url", cfg.Database)
	case "42501":
		e.Class = Refused
		e.Mend = fmt.Sprintf("ALTER ROLE %s REPLICATION LOGIN;  (on RDS and Aurora: GRANT rds_replication TO %s;)",
			QuoteIdent(cfg.User), QuoteIdent(cfg.User))
		e.SQL = []finding.Statement{{Phase: finding.Role, SQL: grantReplication(cfg.User)}}
	case "53300":
		e.Mend = "the server has no free connection or walsender: raise max_connections or max_wal_senders, or end idle ones"
	case "08P01":
		e.Class = Refused
		e.Mend = PoolerMend
	case "57P03":
		e.Mend = "the server is starting or stopping"
	case "":
		if strings.Contains(err.Error(), "unsupported startup parameter") {
			e.Class = Refused
			e.Mend = PoolerMend
			break
		}
		var dns *net.DNSError
		var certificate *tls.CertificateVerificationError
		switch {
		case errors.As(err, &dns):
			e.Mend = fmt.Sprintf("the name %q does not resolve: check the host in database.url", dns.Name)
		case strings.Contains(err.Error(), "server refused TLS"):
			e.Mend = "the server speaks no TLS: leave sslmode out of database.url, or turn ssl on at the server"
		case errors.As(err, &certificate):
			e.Mend = "the server's certificate is not trusted: name its authority by sslrootcert in database.url, and the host as the certificate does"
		default:
			e.Mend = "check that Postgres runs there and that host and port of database.url are right"
		}
	}
	return e
}

// grantReplication lets a role read the log, on managed servers too, where the attribute cannot be given.
func grantReplication(role string) string {
	q := QuoteIdent(role)
	return "DO $rowhook$ BEGIN\n" +
		"    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_replication') THEN GRANT rds_replication TO " + q + "; ALTER ROLE " + q + " LOGIN;\n" +
		"    ELSE ALTER ROLE " + q + " LOGIN REPLICATION;\n    END IF;\nEND $rowhook$;"
}
