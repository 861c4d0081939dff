package openapi

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// MaxSize is the largest document that is read, in bytes.
const MaxSize = 16 << 20

// Document is an OpenAPI document. It has one user at a time.
type Document struct {
	root  *yaml.Node
	paths []candidate
	// found keeps what references name, members the large maps that they go through.
	found   map[string]*yaml.Node
	members map[*yaml.Node]map[string]*yaml.Node
}

// Parse reads a document. Errors say what is wrong with it, without its name.
func Parse(data []byte) (d *Document, err error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("it has %d MiB, and %d are taken\n  hint: cut it to the paths of your resources", len(data)>>20, MaxSize>>20)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8 text\n  hint: give the document itself, as JSON or YAML")
	}
	defer func() {
		if r := recover(); r != nil { // the parser meets whatever a file holds
			d, err = nil, errors.New("the YAML parser gives up on it")
		}
	}()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("it is neither JSON nor YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 || follow(doc.Content[0]).Kind != yaml.MappingNode {
		return nil, errors.New("it is no OpenAPI document\n  hint: a document begins with openapi: 3.1.0, or 3.0")
	}
	d = &Document{root: follow(doc.Content[0]), found: map[string]*yaml.Node{}, members: map[*yaml.Node]map[string]*yaml.Node{}}
	version := text(d.root, "openapi")
	switch {
	case strings.HasPrefix(version, "3."):
		d.paths = d.candidates()
	case text(d.root, "swagger") != "":
		return nil, fmt.Errorf("it is Swagger %.20s, and OpenAPI 3 is taken\n  hint: convert it: npx swagger2openapi swagger.json", text(d.root, "swagger"))
	default:
		return nil, fmt.Errorf("its version of OpenAPI is %.20q, and 3.0 and 3.1 are taken\n  hint: a document begins with openapi: 3.1.0, or 3.0", version)
	}
	return d, nil
}

// server is the first server's URL, its variables replaced by their defaults; empty where there is none to be read.
func (d *Document) server() *url.URL {
	servers := get(d.root, "servers")
	if servers == nil || servers.Kind != yaml.SequenceNode || len(servers.Content) == 0 {
		return &url.URL{}
	}
	first := follow(servers.Content[0])
	address := text(first, "url")
	for _, v := range entries(get(first, "variables")) {
		address = strings.ReplaceAll(address, "{"+v.name+"}", text(v.value, "default"))
	}
	u, err := url.Parse(address)
	if err != nil || strings.ContainsAny(address, "{}") || u.User != nil {
		return &url.URL{}
	}
	return u
}

// Origin is the scheme and host of the first server: https://api.example.com. It is empty where the document names none.
func (d *Document) Origin() string {
	u := d.server()
	if u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// base is the path that all others go behind: /api/v1, or empty.
func (d *Document) base() string { return strings.TrimRight(d.server().Path, "/") }

type entry struct {
	name  string
	value *yaml.Node
}

// follow is the node that an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	for range 10 {
		if n == nil || n.Kind != yaml.AliasNode {
			return n
		}
		n = n.Alias
	}
	return nil
}

// entries are those of a map, in their order; none of anything else.
func entries(n *yaml.Node) (all []entry) {
	if n = follow(n); n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k, v := follow(n.Content[i]), follow(n.Content[i+1]); k != nil && v != nil && k.Kind == yaml.ScalarNode {
			all = append(all, entry{k.Value, v})
		}
	}
	return all
}

// get is a value of a map, or nil.
func get(n *yaml.Node, name string) *yaml.Node {
	if n = follow(n); n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := follow(n.Content[i]); k != nil && k.Kind == yaml.ScalarNode && k.Value == name {
			return follow(n.Content[i+1])
		}
	}
	return nil
}

// text is a scalar of a map, or empty.
func text(n *yaml.Node, name string) string {
	if v := get(n, name); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

// items are those of a list.
func items(n *yaml.Node) []*yaml.Node {
	if n = follow(n); n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	all := make([]*yaml.Node, 0, len(n.Content))
	for _, c := range n.Content {
		if c = follow(c); c != nil {
			all = append(all, c)
		}
	}
	return all
}

// lookup is what a reference within the document names, and the last part of it; nil where there is no such thing.
func (d *Document) lookup(ref string) (*yaml.Node, string) {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil, ""
	}
	n, known := d.found[ref]
	if !known {
		n = d.walk(path)
		d.found[ref] = n
	}
	return n, unescaped(path[strings.LastIndexByte(path, '/')+1:])
}

// unescaped is a part of a reference's path.
func unescaped(part string) string {
	if plain, err := url.PathUnescape(part); err == nil {
		part = plain
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
}

func (d *Document) walk(path string) *yaml.Node {
	n := d.root
	for part := range strings.SplitSeq(path, "/") {
		name := unescaped(part)
		if list := items(n); list != nil {
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(list) {
				return nil
			}
			n = list[i]
			continue
		}
		if n = d.member(n, name); n == nil {
			return nil
		}
	}
	return n
}

// member is get for maps that many references go through.
func (d *Document) member(n *yaml.Node, name string) *yaml.Node {
	const large = 100
	if n = follow(n); n == nil || len(n.Content) < large {
		return get(n, name)
	}
	all, known := d.members[n]
	if !known {
		all = map[string]*yaml.Node{}
		for _, e := range entries(n) {
			if _, twice := all[e.name]; !twice {
				all[e.name] = e.value
			}
		}
		d.members[n] = all
	}
	return all[name]
}

// resolve follows references, of which there may be several in a row.
func (d *Document) resolve(n *yaml.Node) *yaml.Node {
	for range 10 {
		ref := text(n, "$ref")
		if ref == "" {
			return n
		}
		n, _ = d.lookup(ref)
	}
	return nil
}
