package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rowhook/rowhook/client"
)

// fieldFlags are the fields of a subscription that flags and a file can give, the same for create and update. What is given
// by flags goes over what is in the file.
type fieldFlags struct {
	s     client.Subscription
	lease lease
	// request are the members of the request block.
	request requestFlags
	file    string
	// set are the names of the flags of fields.
	set []string
}

// memberOf are the members that flags of other names give.
var memberOf = map[string]string{
	"ignore-source": "ignore_sources", "expires-in": "expires_at", "shadow": "state", "no-target": "target_url",
	"timeout": "delivery.timeout", "retries": "delivery.retries", "ordering": "delivery.ordering", "max-in-flight": "delivery.max_in_flight",
	"rate-limit": "delivery.rate_limit",
	"batch":      "delivery.batch", "max-body": "delivery.max_body",
	"debounce": "delivery.debounce", "fallback-url": "delivery.fallback_url",
}

func (f *fieldFlags) register(cmd *cobra.Command, r *remote) {
	before := map[string]bool{}
	cmd.Flags().VisitAll(func(flag *pflag.Flag) { before[flag.Name] = true })
	flags, s := cmd.Flags(), &f.s
	flags.StringSliceVar(&s.Events, "events", nil, "contact.create, or deal.* for all of a resource, or *; several with commas")
	flags.StringVar(&s.TargetURL, "target-url", "", "where hooks are sent to")
	flags.Var(optional{&s.ResourceID}, "resource-id", "only the events of this instance")
	flags.StringSliceVar(&s.IgnoreSources, "ignore-source", nil, "leave out events of transactions with this source in their context; several with commas")
	flags.StringVar(&s.Filter, "filter", "", "only events of which this expression is true: 'data.status == \"won\"'")
	f.lease.flags(flags)
	flags.StringVar(&s.Verification, "verification", "", "ask the target whether it agrees, before anything is sent: secret or challenge")
	flags.BoolVar(&s.NotifyEnd, "notify-end", false, "tell the target when the subscription is over")
	flags.StringVar(&s.Secret, "secret", "", "what hooks are signed with: whsec_ and base64")
	flags.StringVar(&s.Delivery.Timeout, "timeout", "", "how long the target may take: 15s")
	flags.Var(schedule{&s.Delivery.Retries}, "retries", "the waits before each retry: 5s,5m,2h; or how many of the config's: 3, or 0 for none")
	flags.StringVar(&s.Delivery.Ordering, "ordering", "", "resource, for the events of an instance in order, or none")
	flags.IntVar(&s.Delivery.MaxInFlight, "max-in-flight", 0, "how many requests at once the target gets")
	flags.StringVar(&s.Delivery.RateLimit, "rate-limit", "", "how many requests in a time the target gets: 10/s, 600/m, 5000/h")
	flags.Var(batching{&s.Delivery.Batch}, "batch", "several events in one request: max=100,bytes=256KiB,wait=1s; what is left out is the default, as is all of: default")
	flags.StringVar(&s.Delivery.MaxBody, "max-body", "", "leave out the data of a message that would be larger: 256KiB")
	flags.StringVar(&s.Delivery.FallbackURL, "fallback-url", "", "where an event goes after the last retry has failed")
	flags.StringVar(&s.Delivery.Debounce, "debounce", "", "gather the changes of an instance for so long and send them as one: 15s")
	flags.StringVar(&s.Name, "name", "", "a name, for people")
	flags.StringVar(&s.Description, "description", "", "more, for people")
	flags.StringToStringVar(&s.Metadata, "metadata", nil, "texts of your own: plan=pro; several with commas")
	flags.VisitAll(func(flag *pflag.Flag) {
		if !before[flag.Name] {
			f.set = append(f.set, flag.Name)
		}
	})
	flags.StringVarP(&f.file, "from-file", "f", "", "a JSON object of fields, as get --output json prints it; - is the standard input")
	_ = cmd.MarkFlagFilename("from-file", "json")
	_ = cmd.RegisterFlagCompletionFunc("events", r.completeEvents(true))
	known := map[string][]string{"ordering": {"resource", "none"}, "verification": {"none", "secret", "challenge"}}
	for name, values := range known {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	for _, name := range f.set {
		if name != "events" && known[name] == nil {
			_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
		}
	}
	f.request.add(cmd)
}

// body is what was given, as the members of a request. A flag that says nothing ("") gives null: the field's default.
func (f *fieldFlags) body(cmd *cobra.Command) (client.Patch, error) {
	body, err := f.read(cmd.InOrStdin())
	if err != nil {
		return nil, err
	}
	if err := f.lease.apply(&f.s, time.Now()); err != nil {
		return nil, err
	}
	text, err := json.Marshal(f.s)
	if err != nil {
		return nil, err
	}
	given := client.Patch{}
	if err := json.Unmarshal(text, &given); err != nil {
		return nil, err
	}
	for _, name := range f.set {
		if !cmd.Flags().Changed(name) {
			continue
		}
		member := memberOf[name]
		if member == "" {
			member = strings.ReplaceAll(name, "-", "_")
		}
		from, to := given, body
		if group, inner, ok := strings.Cut(member, "."); ok {
			from, _ = given[group].(map[string]any)
			into, _ := body[group].(map[string]any)
			if into == nil {
				into = map[string]any{}
				body[group] = into
			}
			to, member = into, inner
		}
		to[member] = from[member]
	}
	return body, f.request.into(cmd, body)
}

// read reads the file.
func (f *fieldFlags) read(stdin io.Reader) (client.Patch, error) {
	body := client.Patch{}
	if f.file == "" {
		return body, nil
	}
	in, name := stdin, "the standard input"
	if f.file != "-" {
		name = strings.TrimPrefix(f.file, "@")
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("read the fields: %w", err)
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read the fields from %s: %w", name, err)
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	err = d.Decode(&body)
	if err == nil && d.More() {
		err = errors.New("there is more after the object")
	}
	if err != nil || body == nil {
		var syntax *json.SyntaxError
		at := ""
		if errors.As(err, &syntax) {
			at = fmt.Sprintf(", line %d", strings.Count(string(text[:syntax.Offset]), "\n")+1)
		}
		return nil, fmt.Errorf("%s%s: this is not one JSON object of fields\n  hint: rowhook subscription get ID --output json prints one", name, at)
	}
	return body, nil
}

// optional is a text that is nil until it is given.
type optional struct{ text **string }

func (o optional) Set(text string) error { *o.text = &text; return nil }
func (o optional) Type() string          { return "string" }
func (o optional) String() string {
	if o.text == nil || *o.text == nil {
		return ""
	}
	return **o.text
}

// schedule is a number of retries, or their waits with commas.
type schedule struct{ retries **client.Retries }

func (s schedule) Set(text string) error {
	switch n, err := strconv.Atoi(text); {
	case text == "":
		*s.retries = nil
	case err == nil:
		*s.retries = &client.Retries{Count: n}
	default:
		*s.retries = &client.Retries{Waits: strings.Split(text, ",")}
	}
	return nil
}
func (s schedule) Type() string { return "waits" }
func (s schedule) String() string {
	if s.retries == nil || *s.retries == nil {
		return ""
	}
	if r := *s.retries; r.Waits != nil {
		return strings.Join(r.Waits, ",")
	}
	return strconv.Itoa((*s.retries).Count)
}

// batching is a flag's batch: its members, or the word default.
type batching struct{ batch **client.Batch }

func (b batching) Set(text string) error {
	*b.batch = nil
	if text == "" {
		return nil
	}
	given := &client.Batch{}
	for part := range strings.SplitSeq(text, ",") {
		if text == "default" {
			break
		}
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "max":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 { // 0 would be left out, and so the default
				return fmt.Errorf("max is %q: give a whole number such as max=100", value)
			}
			given.Max = n
		case "bytes":
			given.Bytes = value
		case "wait":
			given.Wait = value
		default:
			return fmt.Errorf("%q is none of max, bytes and wait: write max=100,bytes=256KiB,wait=1s, or default", name)
		}
	}
	*b.batch = given
	return nil
}
func (b batching) Type() string { return "bounds" }
func (b batching) String() string {
	if b.batch == nil || *b.batch == nil {
		return ""
	}
	x := *b.batch
	return fmt.Sprintf("max=%d,bytes=%s,wait=%s", x.Max, x.Bytes, x.Wait)
}

func (p *program) updateCommand(r *remote) *cobra.Command {
	var f fieldFlags
	var replace bool
	cmd := &cobra.Command{
		Use:   "update ID",
		Short: "Change a subscription",
		Long: "update changes the fields that are given, and leaves the others as they are. A flag that is given as \"\" puts its field\n" +
			"back to its default.",
		Example: "  rowhook subscription update ID --events 'deal.*' --name 'deals only'\n" +
			"  rowhook subscription get ID --output json > it.json   # edit it, then:\n" +
			"  rowhook subscription update ID --from-file it.json --replace",
		Args:              oneID,
		ValidArgsFunction: r.completeIDs,
	}
	f.register(cmd, r)
	cmd.Flags().BoolVar(&replace, "replace", false, "put all that is not given back to its default, but for the secret")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body, err := f.body(cmd)
		if err != nil {
			return err
		}
		if len(body) == 0 {
			return usage("nothing to change was given", "rowhook subscription update ID --name 'CRM sync'")
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		change := c.Update
		if replace {
			change = c.ReplaceWith
		}
		s, err := change(cmd.Context(), args[0], body)
		return p.acted(r, c, s, r.unknownID(cmd.Context(), c, args[0], err), func() { fmt.Fprintln(p.stderr, "updated") })
	}
	return cmd
}
