package pgtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Options say what [Start] starts. The zero value is a cluster for tests.
type Options struct {
	// Settings go into postgresql.conf, over the defaults of this package: logical replication with 64 slots and
	// senders, 200 connections, little memory, fsync off.
	Settings map[string]string

	// Memory puts the cluster into memory (/dev/shm) where the system has 2 GiB to spare there. It starts in half the
	// time and makes databases ten times faster.
	Memory bool

	// Bin is the directory of initdb and postgres to use; empty: as the package finds them.
	Bin string

	// NoFetch forbids fetching binaries where none are installed.
	NoFetch bool

	// Progress, if not nil, is told in a sentence what takes longer than a moment, such as fetching.
	Progress func(string)

	port func() int // picks a port; tests set it
}

func (o Options) progress(what string) {
	if o.Progress != nil {
		o.Progress(what)
	}
}

// defaultSettings make a cluster that is cheap to start, can replicate logically, and leaves nothing outside of its
// directory: no sockets, and dynamic shared memory in files.
var defaultSettings = map[string]string{
	"wal_level":                  "logical",
	"max_wal_senders":            "64",
	"max_replication_slots":      "64",
	"max_connections":            "200",
	"shared_buffers":             "16MB",
	"dynamic_shared_memory_type": "mmap",
	"jit":                        "off",
	"fsync":                      "off",
	"timezone":                   "UTC",
	"log_timezone":               "UTC",
	"lc_messages":                "C",
	"listen_addresses":           "127.0.0.1",
	"unix_socket_directories":    "",
	"logging_collector":          "off",
	"log_destination":            "stderr",
}

// renderSettings writes settings as lines of postgresql.conf, sorted.
func renderSettings(settings map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := strings.NewReplacer(`\`, `\\`, `'`, `''`, "\n", `\n`).Replace(settings[name])
		fmt.Fprintf(&b, "%s = '%s'\n", name, value)
	}
	return b.String()
}
