package main

import (
	"fmt"

	"github.com/rowhook/rowhook/mapping"
)

// checkFilter says what is wrong with a filter of the resource's events.
func (v *viewer) checkFilter(text string) error {
	if text == "" {
		return nil
	}
	p := mapping.CheckFilter(text, []*mapping.FilterShape{v.mapper.FilterShape(v.own.Name)})
	if p == nil {
		return nil
	}
	hint := ""
	if p.Hint != "" {
		hint = "\n  hint: " + p.Hint
	}
	return fmt.Errorf("--filter: line %d, column %d: %s%s", p.Line, p.Column, p.Message, hint)
}

// filter asks a filter about the event.
func (s *previewed) filter(text string) {
	if text == "" {
		return
	}
	result, err := mapping.NewFilters().Ask(text, s.Event)
	matches := result == mapping.Wanted
	s.matches = &matches
	switch {
	case err != nil:
		s.remarks = append(s.remarks, "the filter fails, and the event is not sent to who has it: "+err.Error())
	case matches:
		s.remarks = append(s.remarks, "the filter is true of it")
	default:
		s.remarks = append(s.remarks, "the filter is false of it: it is not sent to who has it")
	}
}
