package mapping

import "github.com/rowhook/rowhook/cdc"

// Members tells what the data of resources are made of. It may be used by several goroutines at once.
type Members struct {
	roots map[string]*node
	told  map[string]bool
}

// Members returns those of all resources.
func (m *Mapper) Members() *Members {
	x := &Members{roots: map[string]*node{}, told: map[string]bool{}}
	for _, c := range m.resources {
		x.roots[c.Name] = &c.bound.root
		x.told[c.Name] = c.table.Identity == cdc.IdentityFull && c.bound.root.ownColumns()
	}
	return x
}

// Nested says whether the member at a path of a resource's data is an object of members that are mapped, each for itself: Previous
// has those of them that have changed. Any other value it has whole.
func (x *Members) Nested(resource string, path []string) bool {
	n := x.roots[resource]
	for _, name := range path {
		if n = n.member(name); n == nil {
			return false
		}
	}
	return n != nil && n.kind == nodeObject
}

// Told says whether the Previous of an update of a resource, where there is one, has all that the update has changed.
func (x *Members) Told(resource string) bool { return x.told[resource] }

func (n *node) member(name string) *node {
	if n == nil || n.kind != nodeObject {
		return nil
	}
	for i := range n.names {
		if n.names[i] == name {
			return &n.nodes[i]
		}
	}
	return nil
}

// ownColumns says that the node is made of nothing but the row as it is.
func (n *node) ownColumns() bool { return !n.usesOld() && !n.usesLinks() && !n.usesAPI() }
