package subscriptions

import (
	"encoding/binary"
	"slices"
)

// place is an account and a pattern. Both are numbers to keep the map small: it has an entry for each pair.
type place struct{ account, pattern uint32 }

// noAccount is the account of places of admin subscriptions. Numbers of names begin with 1.
const noAccount uint32 = 0

// everything is the pattern *. Events have even numbers from 2, resources odd ones from 3.
const everything uint32 = 0

func eventPattern(number uint32) uint32    { return number * 2 }
func resourcePattern(number uint32) uint32 { return number*2 + 1 }

// list is one entry's number, which is what most places have, or with several set the number of a slice of more.
type list uint32

const several list = 1 << 31

// lists holds the entries of places, in the order of their subscriptions' keys. It holds no pointer to any.
type lists struct {
	more [][]uint32
	free []uint32
}

// members returns the entries of a list; one is room for a single one.
func (ls *lists) members(l list, one *[1]uint32) []uint32 {
	switch {
	case l == 0:
		return nil
	case l&several != 0:
		return ls.more[l&^several]
	}
	one[0] = uint32(l)
	return one[:]
}

// with returns the list with the entry, which it does not have.
func (ls *lists) with(l list, n uint32, order func(a, b uint32) int) list {
	switch {
	case l == 0:
		return list(n)
	case l&several == 0:
		two := []uint32{uint32(l), n}
		if order(n, uint32(l)) < 0 {
			two[0], two[1] = two[1], two[0]
		}
		if last := len(ls.free) - 1; last >= 0 {
			number := ls.free[last]
			ls.free = ls.free[:last]
			ls.more[number] = two
			return list(number) | several
		}
		ls.more = append(ls.more, two)
		return list(len(ls.more)-1) | several
	}
	all := &ls.more[l&^several]
	i, _ := slices.BinarySearchFunc(*all, n, order)
	*all = slices.Insert(*all, i, n)
	return l
}

// without returns the list without the entry, 0 when nothing is left.
func (ls *lists) without(l list, n uint32, order func(a, b uint32) int) list {
	if l&several == 0 {
		if uint32(l) == n {
			return 0
		}
		return l
	}
	number := uint32(l &^ several)
	all := ls.more[number]
	i, ok := slices.BinarySearchFunc(all, n, order)
	if !ok {
		return l
	}
	if all = slices.Delete(all, i, i+1); len(all) > 1 {
		ls.more[number] = all
		return l
	}
	ls.more[number] = nil
	ls.free = append(ls.free, number)
	return list(all[0])
}

// appendPinned appends what the place of one instance is hashed from.
func appendPinned(dst []byte, at place, instance string) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, at.account)
	dst = binary.LittleEndian.AppendUint32(dst, at.pattern)
	return append(dst, instance...)
}
