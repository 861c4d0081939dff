package cdc

import (
	"strings"
	"unicode"
)

// namesEverybody says whether a value of synchronous_standby_names matches every connection that replicates, and so ours:
// whether one of its names is *, unquoted.
// https://www.postgresql.org/docs/current/runtime-config-replication.html#GUC-SYNCHRONOUS-STANDBY-NAMES
func namesEverybody(names string) bool {
	quoted := false
	bare := strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			quoted = !quoted
			return -1
		case quoted:
			return 'x'
		case r == ',' || r == '(' || r == ')' || unicode.IsSpace(r):
			return ' '
		}
		return r
	}, names)
	for _, name := range strings.Fields(bare) {
		if name == "*" {
			return true
		}
	}
	return false
}

// CountedAsStandby is the Status.DegradedKind of a server that takes rowhook for a synchronous standby.
const CountedAsStandby = "counted_as_standby"

// countedAsStandby is what is wrong with that. Postgres would take what rowhook acknowledges for the safety of a copy that
// does not exist; and a commit that waits for rowhook waits for ever where rowhook waits for a commit of its own.
func countedAsStandby(names string) *Error {
	return &Error{Class: Refused,
		What: "synchronous_standby_names = '" + names + "' matches every replication connection, rowhook's too: commits would wait for rowhook, which is no standby",
		Mend: "name the standbys in it: ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby1, standby2)';  SELECT pg_reload_conf();"}
}
