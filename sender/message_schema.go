package sender

import (
	"strings"

	"github.com/rowhook/rowhook/internal/schema"
	"github.com/rowhook/rowhook/mapping"
)

// StandardSchema is what AppendStandard writes of the events of a type, as JSON Schema. It is open: members that it does not
// name may come beside those that it does.
func StandardSchema(of *mapping.Shape) *schema.Schema {
	s := schema.Of(schema.Object)
	s.Dialect, s.Title = schema.Dialect, of.Type
	s.Add("type", &schema.Schema{Const: of.Type}, true)
	s.Add("timestamp", &schema.Schema{Description: "When the change was committed.", Type: schema.Types{schema.String}, Format: "date-time"}, true)
	s.Add("data", of.Data, true)
	if !of.Truncates {
		s.Add("partial", &schema.Schema{Description: "Members of data that could not be known, and are left out.",
			Type: schema.Types{schema.Array}, Items: schema.Of(schema.String)}, false)
	}
	if of.Previous != nil {
		previous := *of.Previous
		previous.Description = "Members of data that the update has changed, with what they were, where that is known."
		s.Add("previous", &previous, false)
	}
	s.Add("context", &schema.Schema{Description: "What the application said of the transaction.", Type: schema.Types{schema.Object}}, false)
	if strings.HasSuffix(of.Type, ".create") {
		s.Add("backfill", &schema.Schema{Description: "The row was there when a backfill was asked for: nothing has changed.", Const: true}, false)
	}
	s.Add("position", &schema.Schema{Description: "Grows with every event.", Type: schema.Types{schema.String}, Pattern: "^[0-9a-f]{40}$"}, true)
	if of.Whole != nil {
		s.If = &schema.Schema{Required: []string{"partial"}}
		s.Else = &schema.Schema{Properties: schema.Properties{{Name: "data", Schema: of.Whole}}}
	}
	return s
}
