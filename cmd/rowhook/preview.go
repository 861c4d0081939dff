package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/internal/application"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/preview"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// previewFlags say what is shown of a row, and how.
type previewFlags struct {
	file, was, event, old, filter, format, secret, output string
	pretty, headers, sample                               bool
}

func (p *program) previewCommand() *cobra.Command {
	var f previewFlags
	cmd := &cobra.Command{
		Use:   "preview --config FILE RESOURCE KEY…",
		Short: "Print the request that would be sent for a row",
		Long: "preview reads a row and prints the body of its event, byte for byte as it would be sent. It changes nothing, and needs\n" +
			"no more than SELECT on the table. KEY is the primary key, or what the config has under key; the values of a composite one\n" +
			"are joined by commas. Several keys give a line each.\n\n" +
			"What would not be sent is printed all the same, and stderr says why: the row fails where, counts as deleted, the event is\n" +
			"not offered. It also says whose subscriptions would get it.\n\n" +
			"An update has no row before it unless --old tells what was different there: it decides about events of your own, and about\n" +
			"ignore_changes.\n\n" +
			"With --was, a config as it was before, it prints where the bodies differ, and the exit code is 1 where they do.",
		Example: "  rowhook preview --config config.yaml contact 42\n" +
			"  rowhook preview --config config.yaml --sample contact\n" +
			"  rowhook preview --config config.yaml --event delete --pretty order_item 7,3\n" +
			"  rowhook preview --config changed.yaml --was config.yaml contact 42\n" +
			"  rowhook preview --config config.yaml --event deal.won --old '{\"stage\": \"lead\"}' deal 7\n" +
			"  rowhook preview --config config.yaml --secret \"$WEBHOOK_SECRET\" contact 42",
		Args: func(_ *cobra.Command, args []string) error { return f.check(args) },
	}
	addConfigFlag(cmd, &f.file)
	cmd.Flags().StringVar(&f.was, "was", "", "the config as it was: where the bodies differ, instead of a body")
	_ = cmd.MarkFlagFilename("was", "yaml", "yml")
	cmd.Flags().StringVar(&f.event, "event", "update", "create, update, delete, truncate, or one of the resource's own: deal.won")
	cmd.Flags().StringVar(&f.old, "old", "", "what the row before held, as JSON: '{\"stage\": \"lead\"}'; the rest is as it is")
	cmd.Flags().StringVar(&f.filter, "filter", "", "a subscription's filter: says whether it is true of the event: 'data.stage == \"won\"'")
	cmd.Flags().BoolVar(&f.sample, "sample", false, "the row with the highest key, instead of a KEY")
	cmd.Flags().BoolVar(&f.headers, "headers", false, "the headers too")
	cmd.Flags().StringVar(&f.secret, "secret", "", "a subscription's secret (whsec_…): the headers, with the signature")
	cmd.Flags().StringVar(&f.format, "format", "standard", "the body's form: "+strings.Join(formatNames(), ", "))
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "text or json: an object for each row, with body, headers and what is said of it")
	cmd.Flags().BoolVar(&f.pretty, "pretty", false, "on several lines; not as sent then")
	for name, values := range map[string][]string{"event": preview.OwnEvents, "format": formatNames(), "output": {"text", "json"}} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.file == "" {
			return errNoConfig(cmd)
		}
		old, err := oldValues(f.old)
		if err != nil {
			return err
		}
		cfg, err := config.Load(f.file)
		if err != nil {
			return err
		}
		return p.preview(cmd.Context(), cfg, f, args[0], args[1:], old)
	}
	return cmd
}

func formatNames() (names []string) {
	for _, f := range sender.Formats() {
		names = append(names, f.Name)
	}
	return names
}

// bodyFormat is that of --format.
func (f *previewFlags) bodyFormat() sender.Format {
	all := sender.Formats()
	return all[slices.IndexFunc(all, func(x sender.Format) bool { return x.Name == f.format })]
}

// check looks at the command line.
func (f *previewFlags) check(args []string) error {
	const example = "rowhook preview --config config.yaml contact 42"
	switch {
	case len(args) == 0:
		return usage("preview needs a resource and a key, and got none of two", example)
	case f.sample && len(args) > 1:
		return usage("--sample chooses a row, and a key is given too", "leave one of them out")
	case len(args) == 1 && !f.sample && !strings.HasSuffix("."+f.event, ".truncate"):
		return usage("preview needs a resource and a key, and got 1 of two", example+", or --sample for any row")
	case !slices.Contains(formatNames(), f.format):
		return usage(fmt.Sprintf("--format %q is not one", f.format), strings.Join(formatNames(), ", "))
	case f.output != "text" && f.output != "json":
		return usage(fmt.Sprintf("--output %q is not one", f.output), "text or json")
	case f.was != "" && (f.headers || f.secret != "" || f.pretty || f.filter != ""):
		return usage("--was prints differences, and no request", "leave --headers, --secret, --pretty and --filter out")
	case f.event == "":
		return usage("--event is empty", strings.Join(preview.OwnEvents, ", "))
	}
	if f.secret != "" {
		if _, err := (subscriptions.SigningSecret{Secret: secret.String(f.secret)}).Key(); err != nil {
			return usage("--secret "+err.Error(), "")
		}
	}
	return nil
}

// preview prints each row. What is wrong with one does not keep the others.
func (p *program) preview(ctx context.Context, cfg *config.Config, f previewFlags, resource string, keys []string, old map[string]*string) error {
	v, err := preview.OpenViewer(ctx, cfg, resource, f.event)
	if err != nil {
		return err
	}
	defer v.Close()
	if err := v.Knows(old); err != nil {
		return err
	}
	if err := v.CheckFilter(f.filter); err != nil {
		return err
	}
	if f.sample {
		key, err := v.Sample(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "%s %s, the highest key\n", resource, key)
		keys = []string{key}
	}
	if v.EventName == resource+".truncate" {
		keys = []string{""}
	}
	if f.was != "" {
		return p.diff(ctx, v, cfg, f, resource, keys, old)
	}
	if f.output == "text" {
		fmt.Fprintln(p.stderr, "timestamp and position are those of now, in the place of a commit's")
	}
	envelope := around(v, cfg)
	var wrong []error
	for _, key := range keys {
		shown, err := v.Show(ctx, key, old)
		if err == nil {
			shown.Filter(f.filter)
			err = p.print(shown, envelope, f, len(keys) > 1)
		}
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	return errors.Join(wrong...)
}

// around is what bodies say beside the event. There is no subscription: what they say of one is an example.
func around(v *preview.Viewer, cfg *config.Config) sender.Envelope {
	return sender.Envelope{Subscription: "sub_example", Target: "https://example.com/hooks", Source: sender.SourceOf(cfg.Database.Name()),
		Location: application.Location(cfg.App.PublicURL, v.Mapper)}
}

func (p *program) print(s *preview.Previewed, around sender.Envelope, f previewFlags, several bool) error {
	format := f.bodyFormat()
	body := format.Append(nil, s.Event, around)
	var headers []sender.Header
	if f.headers || f.secret != "" || f.output == "json" {
		var secrets []subscriptions.SigningSecret
		if f.secret != "" {
			secrets = append(secrets, subscriptions.SigningSecret{Secret: secret.String(f.secret)})
		}
		var err error
		if headers, err = sender.Headers(s.Event, format, body, "rowhook/"+versionText(), secrets, time.Now()); err != nil {
			return fmt.Errorf("--secret: %w", err)
		}
	}
	if f.output == "json" {
		return p.printRow(s, headers, body, f.pretty)
	}
	for _, r := range s.Remarks {
		if several {
			r = s.Instance + ": " + r
		}
		fmt.Fprintln(p.stderr, r)
	}
	var out bytes.Buffer
	if f.headers || f.secret != "" {
		for _, h := range headers {
			fmt.Fprintf(&out, "%s: %s\n", h.Name, h.Value)
		}
		out.WriteByte('\n')
	}
	if f.pretty {
		if err := json.Indent(&out, body, "", "  "); err != nil {
			return err
		}
	} else {
		out.Write(body)
	}
	_, err := p.stdout.Write(append(out.Bytes(), '\n'))
	return err
}

// printRow prints the event as an object in one line.
func (p *program) printRow(s *preview.Previewed, headers []sender.Header, body []byte, pretty bool) error {
	row := struct {
		Event    string            `json:"event"`
		Instance string            `json:"instance"`
		Account  *string           `json:"account"`
		Sent     bool              `json:"sent"`
		Matches  *bool             `json:"matches,omitempty"`
		Remarks  []string          `json:"remarks"`
		Headers  map[string]string `json:"headers"`
		Body     json.RawMessage   `json:"body"`
	}{s.Type, s.Instance, nil, s.Sent, s.Matches, s.Remarks, map[string]string{}, body}
	if s.Accounted {
		row.Account = &s.Account
	}
	if row.Remarks == nil {
		row.Remarks = []string{}
	}
	for _, h := range headers {
		row.Headers[strings.ToLower(h.Name)] = h.Value
	}
	out := json.NewEncoder(p.stdout)
	out.SetEscapeHTML(false)
	if pretty {
		out.SetIndent("", "  ")
	}
	return out.Encode(row)
}

// oldValues reads --old: columns by name, with their values as the database writes them.
func oldValues(text string) (map[string]*string, error) {
	if text == "" {
		return nil, nil
	}
	const example = `--old '{"stage": "lead", "amount": 12.50, "closed_at": null}'`
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, usage("--old is not a JSON object of columns", example)
	}
	old := map[string]*string{}
	for name, v := range raw {
		value := string(v)
		switch {
		case value == "null":
			old[name] = nil
			continue
		case value[0] == '"':
			if err := json.Unmarshal(v, &value); err != nil {
				return nil, usage("--old is not a JSON object of columns", example)
			}
		}
		old[name] = &value
	}
	return old, nil
}
