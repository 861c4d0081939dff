package preview

import (
	"fmt"

	"github.com/rowhook/rowhook/mapping"
)

// CheckFilter says what is wrong with a filter of the resource's events.
func (v *Viewer) CheckFilter(text string) error {
	if text == "" {
		return nil
	}
	p := mapping.CheckFilter(text, []*mapping.FilterShape{v.Mapper.FilterShape(v.own.Name)})
	if p == nil {
		return nil
	}
	hint := ""
	if p.Hint != "" {
		hint = "\n  hint: " + p.Hint
	}
	return fmt.Errorf("--filter: line %d, column %d: %s%s", p.Line, p.Column, p.Message, hint)
}

// Filter asks a filter about the event.
func (s *Previewed) Filter(text string) {
	if text == "" {
		return
	}
	result, err := mapping.NewFilters().Ask(text, s.Event)
	matches := result == mapping.Wanted
	s.Matches = &matches
	switch {
	case err != nil:
		s.Remarks = append(s.Remarks, "the filter fails, and the event is not sent to who has it: "+err.Error())
	case matches:
		s.Remarks = append(s.Remarks, "the filter is true of it")
	default:
		s.Remarks = append(s.Remarks, "the filter is false of it: it is not sent to who has it")
	}
}
