package config

import (
	"reflect"
	"slices"
	"strings"
)

// reloadable are the keys that a running rowhook takes over from a changed file, each with all that is below it. What is
// not here needs a restart.
var reloadable = []string{"database.max_wal_lag", "app", "api.tokens", "api.accounts", "proxy.trusted_networks", "proxy.identity", "delivery", "retention", "limits.memory", "limits.hold", "json", "resources"}

// NeedRestart lists the keys, in the order of the description, that differ in next and that only a restart changes.
// Defaults that follow another key which is listed are left out.
func (c *Config) NeedRestart(next *Config) []string {
	var keys []string
	for _, key := range c.Changed(next) {
		if !slices.ContainsFunc(reloadable, func(r string) bool { return key == r || strings.HasPrefix(key, r+".") }) {
			keys = append(keys, key)
		}
	}
	if slices.Contains(keys, "database.url") {
		keys = slices.DeleteFunc(keys, func(key string) bool {
			switch key {
			case "store.url":
				return c.Store.URL == c.Database.URL && next.Store.URL == next.Database.URL
			case "database.read_url":
				return c.Database.ReadURL == c.Database.URL && next.Database.ReadURL == next.Database.URL
			case "database.environment":
				return c.Database.Environment == environmentOf(c.Database.URL) && next.Database.Environment == environmentOf(next.Database.URL)
			}
			return false
		})
	}
	return keys
}

// Changed lists the keys whose values differ in next, in the order of the description. The place of a value in the file
// counts for resources: their errors name it.
func (c *Config) Changed(next *Config) []string { return file.changed(c, next, "") }

// comparer is a kind that tells which of its parts differ.
type comparer[V any] interface {
	changed(a, b *V, path string) []string
}

func (o object[T]) changed(a, b *T, path string) []string {
	var keys []string
	for _, m := range o.members {
		keys = append(keys, m.changed(a, b, join(path, m.name))...)
	}
	return keys
}

// changedAt compares what a key holds: by its own keys where it has some, else as a whole.
func changedAt[V any](k kind[V], a, b *V, path string) []string {
	if c, ok := k.(comparer[V]); ok {
		return c.changed(a, b, path)
	}
	if reflect.DeepEqual(a, b) {
		return nil
	}
	return []string{path}
}
