package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rowhook/rowhook/client"
)

// remote are the flags of commands that talk to a running rowhook.
type remote struct{ url, token, output string }

const defaultURL = "http://127.0.0.1:8477/api/v1"

func (p *program) subscriptionCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:     "subscription",
		Aliases: []string{"subscriptions"},
		Short:   "List, make, show, change, stop and delete subscriptions of a running rowhook",
		Long: "subscription talks to a running rowhook over its REST API. The address and the token come from --url and --token,\n" +
			"or from ROWHOOK_URL and ROWHOOK_TOKEN.",
		Example: "  export ROWHOOK_TOKEN=…\n" +
			"  rowhook subscription create --events contact.create,deal.* --target-url https://example.com/hooks\n" +
			"  rowhook subscription list",
	}
	group(cmd)
	r.flags(cmd.PersistentFlags())
	completeOutput(cmd)
	cmd.AddCommand(p.listCommand(&r), p.createCommand(&r), p.getCommand(&r), p.updateCommand(&r), p.deleteCommand(&r), p.enableCommand(&r), p.disableCommand(&r), p.pingCommand(&r), p.feedCommand(&r), p.heldCommand(&r),
		p.rotateSecretCommand(&r), p.replayCommand(&r), p.backfillCommand(&r), p.importCommand(&r), p.exportCommand(&r))
	return cmd
}

func (r *remote) flags(f *pflag.FlagSet) {
	f.StringVar(&r.url, "url", "", "the API, with its base path; ROWHOOK_URL, else "+defaultURL)
	f.StringVar(&r.token, "token", "", "a token of the API; ROWHOOK_TOKEN")
	f.StringVarP(&r.output, "output", "o", "table", "table or json")
}

// completeOutput offers the forms of the output to a shell.
func completeOutput(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// client makes the client that flags and environment ask for.
func (r *remote) client() (*client.Client, error) {
	c, err := r.visitor()
	if err == nil && c.Token == "" {
		return nil, usage("there is no token", "set ROWHOOK_TOKEN, or give --token: one of api.tokens in the config, or one that its admin makes with rowhook token create")
	}
	return c, err
}

// visitor is a client for what needs no token, with the one that there is.
func (r *remote) visitor() (*client.Client, error) {
	if r.output != "table" && r.output != "json" {
		return nil, usage(fmt.Sprintf("--output %q is not one", r.output), "table or json")
	}
	c := &client.Client{URL: first(r.url, os.Getenv("ROWHOOK_URL"), defaultURL), Token: first(r.token, os.Getenv("ROWHOOK_TOKEN"))}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usage("the API's URL cannot be read", "give one such as "+defaultURL+" in --url or ROWHOOK_URL")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/api/v1"
		c.URL = u.String()
	}
	return c, nil
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// answered adds the next step to an error of the API.
func answered(c *client.Client, err error) error {
	var told *client.Error
	var failed *url.Error
	switch {
	case errors.As(err, &told) && told.Status == 401:
		return fmt.Errorf("%w\n  hint: the token is none of api.tokens of that rowhook: see --token and ROWHOOK_TOKEN", err)
	case errors.As(err, &told) && told.Status == 404 && (told.Detail == "" || strings.HasPrefix(told.Detail, "there is no such route")):
		return fmt.Errorf("%w\n  hint: the API was taken to be at %s: is that its address, with api.base_path? see --url and ROWHOOK_URL", err, c.URL)
	case errors.As(err, &failed):
		cause := failed.Err
		for next := errors.Unwrap(cause); next != nil; next = errors.Unwrap(cause) {
			cause = next // without the address, which is told already
		}
		return fmt.Errorf("reach rowhook at %s: %w\n  hint: is it running there? see --url and ROWHOOK_URL", c.URL, cause)
	}
	return err
}

func (p *program) listCommand(r *remote) *cobra.Command {
	var f client.Filter
	cmd := &cobra.Command{Use: "list", Short: "List the subscriptions that the token may see", Args: none, ValidArgsFunction: cobra.NoFileCompletions}
	cmd.Flags().StringVar(&f.Event, "event", "", "only those that get this event: contact.create")
	cmd.Flags().StringVar(&f.State, "state", "", "only those in this state: active, shadow, pending, disabled or expired")
	cmd.Flags().StringVar(&f.TargetHost, "target-host", "", "only those with a target at this host")
	cmd.Flags().StringVar(&f.Name, "name", "", "only those with this in their name")
	cmd.Flags().StringVar(&f.Search, "search", "", "only those with this in their name, or whose id, account or target's host it is")
	cmd.Flags().StringVar(&f.Account, "account", "", "only those of this customer; only with an admin's token")
	cmd.Flags().BoolVar(&f.Failing, "failing", false, "only those whose targets take nothing now")
	_ = cmd.RegisterFlagCompletionFunc("event", r.completeEvents(false))
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"active", "shadow", "pending", "disabled", "expired"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		all := []*client.Subscription{}
		for s, err := range c.Select(cmd.Context(), f) {
			if err != nil {
				return answered(c, err)
			}
			all = append(all, s)
		}
		if r.output == "json" {
			return p.printJSON(all)
		}
		if len(all) == 0 {
			fmt.Fprintln(p.stderr, "there are no subscriptions")
			return nil
		}
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSTATE\tACCOUNT\tEVENTS\tTARGET\tNAME")
		for _, s := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.State, account(s), strings.Join(s.Events, ","), target(s), s.Name)
		}
		return w.Flush()
	}
	return cmd
}

func (p *program) createCommand(r *remote) *cobra.Command {
	var f fieldFlags
	var account string
	var wait bool
	cmd := &cobra.Command{
		Use:               "create --events EVENT[,…] --target-url URL",
		Short:             "Make a subscription; its secret is shown this once",
		Example:           "  rowhook subscription create --events 'contact.*' --target-url https://example.com/hooks --retries 5s,5m,2h\n  rowhook subscription create --from-file subscription.json",
		Args:              none,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f.register(cmd, r)
	cmd.Flags().StringVar(&account, "account", "", "the customer that it is for; only with an admin's token")
	cmd.Flags().BoolVar(&wait, "wait", false, "with --verification: wait until the target has agreed, or there is nothing more to wait for")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.file == "" && (len(f.s.Events) == 0 || f.s.TargetURL == "" && !f.lease.noTarget) {
			return usage("--events and --target-url are needed", "rowhook subscription create --events contact.create --target-url https://example.com/hooks")
		}
		body, err := f.body(cmd)
		if err != nil {
			return err
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("account") {
			body["account"] = account
		}
		made, err := c.CreateWith(cmd.Context(), body)
		if err != nil {
			return answered(c, err)
		}
		switch {
		case r.output == "json":
			if err := p.printJSON(made); err != nil {
				return err
			}
		case made.Secret == "":
			fmt.Fprintf(p.stdout, "id          %s\nexpires_at  %s\n", made.ID, made.ExpiresAt.Format(time.RFC3339))
			fmt.Fprintln(p.stderr, "renewed: there was one for the same already, and its secret stays")
		default:
			fmt.Fprintf(p.stdout, "id      %s\nsecret  %s\n", made.ID, made.Secret)
			if made.SignaturePublicKey != "" {
				fmt.Fprintf(p.stdout, "key     %s\n", made.SignaturePublicKey)
			}
			fmt.Fprintln(p.stderr, "keep the secret: it checks the signatures, and is not shown again")
		}
		if made.State != "pending" {
			return nil
		}
		if wait {
			return p.awaitAgreement(cmd.Context(), c, made.ID)
		}
		fmt.Fprintln(p.stderr, "it is pending until its target agrees: rowhook subscription get "+made.ID)
		return nil
	}
	return cmd
}

func (p *program) getCommand(r *remote) *cobra.Command {
	return &cobra.Command{Use: "get ID", Short: "Show a subscription", Args: oneID, ValidArgsFunction: r.completeIDs, RunE: func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		s, err := c.Get(cmd.Context(), args[0])
		if err != nil {
			return answered(c, r.unknownID(cmd.Context(), c, args[0], err))
		}
		if r.output == "json" {
			return p.printJSON(s)
		}
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "id\t%s\nstate\t%s\naccount\t%s\nevents\t%s\ntarget_url\t%s\n", s.ID, s.State, account(s), strings.Join(s.Events, ", "), target(s))
		if d := s.DisabledReason; d != nil {
			why := ""
			if d.Reason != "" {
				why = ": " + d.Reason
			}
			fmt.Fprintf(w, "%s\tby %s since %s%s\n", s.State, d.By, d.Since.Format(time.RFC3339), why)
			if d.LastAnswer != nil {
				fmt.Fprintf(w, "last_answer\t%s\n", lastAnswer(d.LastAnswer))
			}
		}
		if s.FailingSince != nil {
			fmt.Fprintf(w, "failing\tsince %s\n", s.FailingSince.Format(time.RFC3339))
		}
		if s.LastFailure != nil {
			fmt.Fprintf(w, "last_failure\t%s\n", lastAnswer(s.LastFailure))
		}
		if s.ExpiresAt != nil {
			fmt.Fprintf(w, "expires_at\t%s\n", s.ExpiresAt.Format(time.RFC3339))
		}
		showVerification(w, s)
		if s.ResourceID != nil {
			fmt.Fprintf(w, "resource_id\t%s\n", *s.ResourceID)
		}
		for _, line := range [][2]string{{"request", shownRequest(s.Request)}, {"signature_public_key", s.SignaturePublicKey}, {"filter", s.Filter}, {"filter_error", filterError(s)}, {"name", s.Name}, {"description", s.Description}} {
			if line[1] != "" {
				fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
			}
		}
		printDelivery(w, s.Delivery)
		if len(s.IgnoreSources) > 0 {
			fmt.Fprintf(w, "ignore_sources\t%s\n", strings.Join(s.IgnoreSources, ", "))
		}
		for _, name := range slices.Sorted(maps.Keys(s.Metadata)) {
			fmt.Fprintf(w, "metadata.%s\t%s\n", name, s.Metadata[name])
		}
		fmt.Fprintf(w, "created_at\t%s\nupdated_at\t%s\n", s.CreatedAt.Format(time.RFC3339), s.UpdatedAt.Format(time.RFC3339))
		return w.Flush()
	}}
}

func (p *program) deleteCommand(r *remote) *cobra.Command {
	return &cobra.Command{Use: "delete ID", Short: "Delete a subscription: nothing is sent to it any more", Args: oneID, ValidArgsFunction: r.completeIDs, RunE: func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		if err := c.Delete(cmd.Context(), args[0]); err != nil {
			return answered(c, r.unknownID(cmd.Context(), c, args[0], err))
		}
		fmt.Fprintln(p.stderr, "deleted")
		return nil
	}}
}

// oneID takes the id of a subscription.
func oneID(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(fmt.Sprintf("%s needs the id of one subscription", cmd.CommandPath()), "rowhook subscription list shows them")
	}
	return nil
}

// lastAnswer is how an attempt ended, in a line.
func lastAnswer(a *client.LastAnswer) string {
	status := ""
	if a.Status != nil {
		status = fmt.Sprintf(" %d", *a.Status)
	}
	return fmt.Sprintf("%s%s at %s", a.Reason, status, a.At.Format(time.RFC3339))
}

// filterError is what is wrong with its filter, in a line.
func filterError(s *client.Subscription) string {
	if s.FilterError == nil {
		return ""
	}
	e := s.FilterError
	return fmt.Sprintf("%s (%d events, last %s at %s)", e.Message, e.Count, e.EventType, e.At.Format(time.RFC3339))
}

// printDelivery prints what the subscription overrides.
func printDelivery(w io.Writer, d client.Delivery) {
	if d.Timeout != "" {
		fmt.Fprintf(w, "delivery.timeout\t%s\n", d.Timeout)
	}
	if d.Retries != nil {
		fmt.Fprintf(w, "delivery.retries\t%s\n", schedule{&d.Retries})
	}
	if d.Ordering != "" {
		fmt.Fprintf(w, "delivery.ordering\t%s\n", d.Ordering)
	}
	if d.MaxInFlight != 0 {
		fmt.Fprintf(w, "delivery.max_in_flight\t%d\n", d.MaxInFlight)
	}
	if d.RateLimit != "" {
		fmt.Fprintf(w, "delivery.rate_limit\t%s\n", d.RateLimit)
	}
	if d.FallbackURL != "" {
		fmt.Fprintf(w, "delivery.fallback_url\t%s\n", d.FallbackURL)
	}
	if d.Debounce != "" {
		fmt.Fprintf(w, "delivery.debounce\t%s\n", d.Debounce)
	}
	if d.Batch != nil {
		fmt.Fprintf(w, "delivery.batch\t%s\n", batching{&d.Batch})
	}
	if d.MaxBody != "" {
		fmt.Fprintf(w, "delivery.max_body\t%s\n", d.MaxBody)
	}
}

func account(s *client.Subscription) string {
	if s.Account == nil {
		return "* (admin)"
	}
	return *s.Account
}

func (p *program) printJSON(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
