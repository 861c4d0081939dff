package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

func (p *program) eventTypeCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:     "event-type",
		Aliases: []string{"event-types"},
		Short:   "List the events of a running rowhook, and show what their bodies look like",
		Long: "event-type talks to a running rowhook over its REST API: see --url and --token, or ROWHOOK_URL and ROWHOOK_TOKEN. list and\n" +
			"get need no token, but get of an event that is the admin's only.",
		Example: "  rowhook event-type list\n" +
			"  rowhook event-type get contact.update\n" +
			"  rowhook event-type sample contact.update",
	}
	group(cmd)
	r.flags(cmd.PersistentFlags())
	completeOutput(cmd)
	cmd.AddCommand(p.listEventTypesCommand(&r), p.getEventTypeCommand(&r), p.sampleEventTypeCommand(&r))
	return cmd
}

func oneEventType(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd.CommandPath()+" needs the name of one event", "rowhook event-type list shows them")
	}
	return nil
}

func (p *program) listEventTypesCommand(r *remote) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the events that can be subscribed to", Args: none, RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := r.visitor()
		if err != nil {
			return err
		}
		types, err := c.EventTypes(cmd.Context())
		if err != nil {
			return answered(c, err)
		}
		if r.output == "json" {
			return p.printJSON(types)
		}
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "EVENT\tFOR")
		for _, t := range types {
			fmt.Fprintf(w, "%s\t%s\n", t.Name, whoseEvent(&t))
		}
		return w.Flush()
	}}
}

func whoseEvent(t *client.EventType) string {
	if t.AdminOnly {
		return "the admin: " + t.Reason
	}
	return "all"
}

func (p *program) getEventTypeCommand(r *remote) *cobra.Command {
	return &cobra.Command{Use: "get NAME", Short: "Show what a body of the event holds; as JSON, with its JSON Schema", Args: oneEventType,
		ValidArgsFunction: r.completeEvents(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.visitor()
			if err != nil {
				return err
			}
			t, err := c.EventType(cmd.Context(), args[0])
			if err != nil {
				return answered(c, err)
			}
			if r.output == "json" {
				return p.printJSON(t)
			}
			fmt.Fprintf(p.stdout, "event  %s\nfor    %s\n", t.Name, whoseEvent(t))
			if t.Schema == nil {
				fmt.Fprintln(p.stderr, "what it holds is shown to the admin: see --token")
				return nil
			}
			return p.printSchema(t.Schema)
		}}
}

func (p *program) sampleEventTypeCommand(r *remote) *cobra.Command {
	var o client.SampleOptions
	var account string
	cmd := &cobra.Command{Use: "sample NAME", Short: "Show a body as it would be sent: of the newest row, else of none", Args: oneEventType,
		ValidArgsFunction: r.completeEvents(false)}
	cmd.Flags().StringVar(&account, "account", "", "of this customer's rows; for the admin")
	cmd.Flags().StringVar(&o.Format, "format", "", "the body's form: "+strings.Join(formatNames(), ", "))
	cmd.Flags().BoolVar(&o.List, "list", false, "a list of up to three, newest first")
	cmd.Flags().BoolVar(&o.Synthetic, "synthetic", false, "of no row, the same each time")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formatNames(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("account") {
			o.Account = &account
		}
		s, err := c.Sample(cmd.Context(), args[0], o)
		if err != nil {
			return answered(c, err)
		}
		if s.Synthetic {
			fmt.Fprintln(p.stderr, "synthetic: of no row")
		}
		for _, body := range s.Bodies {
			if r.output == "json" {
				// As it would be sent.
				fmt.Fprintf(p.stdout, "%s\n", body)
				continue
			}
			var out bytes.Buffer
			if err := json.Indent(&out, body, "", "  "); err != nil {
				return err
			}
			fmt.Fprintln(plain{p.stdout}, out.String())
		}
		return nil
	}
	return cmd
}

// shownSchema is a JSON Schema, as far as it is shown as a table.
type shownSchema struct {
	Type       shownTypes       `json:"type"`
	Const      json.RawMessage  `json:"const"`
	Enum       []any            `json:"enum"`
	Format     string           `json:"format"`
	Encoding   string           `json:"contentEncoding"`
	Items      *shownSchema     `json:"items"`
	Properties shownMembers     `json:"properties"`
	Required   []string         `json:"required"`
	AnyOf      []*shownSchema   `json:"anyOf"`
	Else       *json.RawMessage `json:"else"`
}

type shownTypes []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *shownTypes) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*t = make(shownTypes, 1)
		return json.Unmarshal(b, &(*t)[0])
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// shownMembers are in the order in which they were written.
type shownMembers []struct {
	name   string
	schema shownSchema
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *shownMembers) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var member shownSchema
		if err := d.Decode(&member); err != nil {
			return err
		}
		text, _ := name.(string)
		*m = append(*m, struct {
			name   string
			schema shownSchema
		}{text, member})
	}
	return nil
}

// printSchema prints a line for each member.
func (p *program) printSchema(text json.RawMessage) error {
	var s, rest shownSchema
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("read the schema: %w", err)
	}
	if s.Else != nil {
		if err := json.Unmarshal(*s.Else, &rest); err != nil {
			return fmt.Errorf("read the schema: %w", err)
		}
	}
	w := tabwriter.NewWriter(plain{p.stdout}, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nMEMBER\tIS\tTHERE")
	printMembers(w, "", &s, &rest, true)
	return w.Flush()
}

// printMembers prints those of an object, which is there or not; rest has what is there but for partial events.
func printMembers(w *tabwriter.Writer, path string, s, rest *shownSchema, there bool) {
	for i := range s.Properties {
		m := &s.Properties[i]
		inner := &shownSchema{}
		if rest != nil {
			for j := range rest.Properties {
				if rest.Properties[j].name == m.name {
					inner = &rest.Properties[j].schema
				}
			}
		}
		is, when := there, "always"
		switch {
		case there && slices.Contains(s.Required, m.name):
		case there && rest != nil && slices.Contains(rest.Required, m.name):
			when = "unless in partial"
		default:
			is, when = false, "not always"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", path+m.name, m.schema.words(), when)
		of, at := &m.schema, path+m.name
		if of.Items != nil && len(of.Items.Properties) > 0 {
			of, at = of.Items, at+"[]"
		}
		printMembers(w, at+".", of, inner, is)
	}
}

// words says in one line what a value may be.
func (s *shownSchema) words() string {
	var words []string
	if s.Const != nil {
		words = append(words, string(s.Const))
	}
	for _, a := range s.AnyOf {
		words = append(words, a.words())
	}
	for _, t := range s.Type {
		switch {
		case t == "string" && len(s.Enum) > 0:
			var labels []string
			for _, label := range s.Enum {
				if text, ok := label.(string); ok {
					labels = append(labels, text)
				}
			}
			t = "one of " + strings.Join(labels, ", ")
		case t == "string" && s.Format != "":
			t = s.Format
		case t == "string" && s.Encoding != "":
			t = s.Encoding
		case t == "array" && s.Items != nil:
			t = "list of " + s.Items.words()
		}
		words = append(words, t)
	}
	if len(words) == 0 {
		return "any value"
	}
	return strings.Join(words, " or ")
}
