package main

import (
	"runtime"
	"runtime/debug"
)

// version is set by the release: go build -ldflags "-X main.version=1.2.3".
var version = "dev"

// versionText is the version, or what the Go tool knows of where this was built from.
func versionText() string {
	if version != "dev" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return version + "-" + s.Value[:12]
		}
	}
	return version
}

// buildText says from which commit it was built, where the Go tool knows, by which Go, and for what.
func buildText() string {
	commit, modified := "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && len(s.Value) >= 12:
				commit = "commit " + s.Value[:12]
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = ", modified"
			}
		}
	}
	if commit != "" {
		commit += modified + ", "
	}
	return " (" + commit + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + ")"
}
