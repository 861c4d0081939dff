package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/problem"
)

// Load reads the file at path. The error is a problem.List with every mistake in the file.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		var list problem.List
		list.Add(problem.Place{File: path}, "name the config file with --config", "the config file %s", reasonOf(err))
		return nil, list.Err()
	}
	return LoadBytes(path, data, os.LookupEnv, os.ReadFile)
}

// LoadBytes is Load for a file that was read already. Name is what problems call the file, and its directory is what
// ${file:…} is relative to; env and readFile answer ${env:…} and ${file:…}.
func LoadBytes(name string, data []byte, env func(string) (string, bool), readFile func(string) ([]byte, error)) (*Config, error) {
	d := &decoder{file: name, env: env, readFile: readFile, bad: map[any]bool{}, notes: map[string]note{}, hidden: map[*yaml.Node]bool{}}
	cfg := Default()
	root := d.parse(data)
	if root != nil {
		file.decode(d, value{node: root}, &cfg)
	}
	if err := d.problems.Err(); err != nil {
		return nil, err
	}
	cfg.complete()
	cfg.Source = &Source{Path: name, LoadedAt: time.Now().UTC(), lines: d.lines, root: root, hidden: d.hidden}
	return &cfg, nil
}

// reasonOf says why a file was not read, without anything that an error's text might quote from it.
func reasonOf(err error) string {
	var at *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "may not be read by this user"
	case errors.As(err, &at):
		return fmt.Sprintf("cannot be read: %v", at.Err)
	}
	return "cannot be read"
}

// splitLines cuts the source where YAML does.
func splitLines(data []byte) []string {
	s := strings.ReplaceAll(string(data), "\r\n", "\n")
	return strings.Split(strings.ReplaceAll(s, "\r", "\n"), "\n")
}

// firstInvalid is the line, from 1, of the first byte that is not UTF-8; 0 where all is well.
func firstInvalid(data []byte) int {
	if utf8.Valid(data) {
		return 0
	}
	for i, line := range splitLines(data) {
		if !utf8.ValidString(line) {
			return i + 1
		}
	}
	return 1
}
