package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/mapping"
)

// mappingBlocks are the blocks of the file that say what becomes of rows.
var mappingBlocks = []string{"json", "resources"}

// LoadMapping reads what a file says of rows, and nothing else of it: passwords and tokens need not be there. Env answers
// ${env:…}. The error is a problem.List.
func LoadMapping(path string, env func(string) (string, bool)) (mapping.Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		var list problem.List
		list.Add(problem.Place{File: path}, "name the config file with --config", "the config file %s", reasonOf(err))
		return mapping.Config{}, list.Err()
	}
	cfg, err := LoadBytes(path, onlyMapping(data), env, os.ReadFile)
	if err != nil {
		return mapping.Config{}, err
	}
	return cfg.Mapping, nil
}

// onlyMapping empties the lines of other blocks, so that those that are left keep their numbers.
func onlyMapping(data []byte) []byte {
	var root yaml.Node
	if yaml.Unmarshal(data, &root) != nil || len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode || root.Content[0].Style == yaml.FlowStyle {
		return data // what is wrong with it is told by whoever loads it
	}
	lines := splitLines(data)
	members := root.Content[0].Content
	for i := 0; i+1 < len(members); i += 2 {
		if slices.Contains(mappingBlocks, members[i].Value) || !slices.Contains(otherBlocks(), members[i].Value) {
			continue
		}
		end := len(lines)
		if i+2 < len(members) {
			end = members[i+2].Line - 1
		}
		for n := members[i].Line - 1; n < end; n++ {
			lines[n] = ""
		}
	}
	return fmt.Appendf(nil, "%s\ndatabase: {url: \"postgres://127.0.0.1/none\"}\n", strings.Join(lines, "\n"))
}

// otherBlocks are those that are known, and say nothing of rows.
func otherBlocks() []string {
	var names []string
	for _, m := range file.members {
		if !slices.Contains(mappingBlocks, m.name) {
			names = append(names, m.name)
		}
	}
	return append(names, file.later...)
}
