package hooktest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Delivered are the requests that were answered with success.
func Delivered(requests []Request) []Request {
	return slices.DeleteFunc(slices.Clone(requests), func(r Request) bool { return !r.Delivered() })
}

// ByInstance sorts requests by what they are about, such as "contact/42". Their order is kept.
func ByInstance(requests []Request) map[string][]Request { return group(requests, Request.Instance) }

// ByID sorts requests by webhook-id: the attempts of each event, and repetitions. Their order is kept.
func ByID(requests []Request) map[string][]Request {
	return group(requests, func(r Request) string { return r.ID })
}

// ByPath sorts requests by path. Their order is kept.
func ByPath(requests []Request) map[string][]Request {
	return group(requests, func(r Request) string { return r.Path })
}

func group(requests []Request, key func(Request) string) map[string][]Request {
	groups := map[string][]Request{}
	for _, r := range requests {
		k := key(r)
		groups[k] = append(groups[k], r)
	}
	return groups
}

// Duplicates are the ids, sorted, that were delivered more than once on one path. Retries after a failure are none.
func Duplicates(requests []Request) []string {
	ids := map[string]bool{}
	for _, onPath := range ByPath(Delivered(requests)) {
		for id, same := range ByID(onPath) {
			if len(same) > 1 {
				ids[id] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// CheckOrder says where the order is broken: on each path, an instance's requests, failed attempts included, must not go
// back to an older position.
func CheckOrder(requests []Request) error {
	var wrong []error
	for path, onPath := range ByPath(requests) {
		for instance, of := range ByInstance(onPath) {
			if instance == "" {
				continue
			}
			for i := 1; i < len(of); i++ {
				if of[i].Position < of[i-1].Position {
					wrong = append(wrong, fmt.Errorf("%s on %s: request %s came after %s", instance, path, of[i], of[i-1]))
				}
			}
		}
	}
	return errors.Join(wrong...)
}

// CheckNewestLast says where an older state was delivered last: what holds even after a crash, when older states may be
// repeated.
func CheckNewestLast(requests []Request) error {
	var wrong []error
	for path, onPath := range ByPath(Delivered(requests)) {
		for instance, of := range ByInstance(onPath) {
			if instance == "" {
				continue
			}
			newest := slices.MaxFunc(of, func(a, b Request) int { return strings.Compare(a.Position, b.Position) })
			if final := of[len(of)-1]; final.Position < newest.Position {
				wrong = append(wrong, fmt.Errorf("%s on %s: %s came last, but %s is newer", instance, path, final, newest))
			}
		}
	}
	return errors.Join(wrong...)
}
