package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

func (p *program) deliveryCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:     "delivery",
		Aliases: []string{"deliveries"},
		Short:   "List and show what was sent to a subscription, and send it again",
		Long: "A delivery is an event for a subscription, with all attempts to send it. The commands talk to a running rowhook. The\n" +
			"address and the token come from --url and --token, or from ROWHOOK_URL and ROWHOOK_TOKEN.",
		Example: "  rowhook delivery list sub_… --resource-id 42\n" +
			"  rowhook delivery list --event-id evt_…\n" +
			"  rowhook delivery list sub_… --status failed --from 24h",
	}
	group(cmd)
	r.flags(cmd.PersistentFlags())
	completeOutput(cmd)
	cmd.AddCommand(p.listDeliveriesCommand(&r), p.getDeliveryCommand(&r), p.redeliverCommand(&r))
	return cmd
}

func (p *program) listDeliveriesCommand(r *remote) *cobra.Command {
	var f client.DeliveryFilter
	var from, to string
	var limit int
	cmd := &cobra.Command{Use: "list (SUBSCRIPTION | --event-id EVENT)", Short: "List what was sent to a subscription, or of an event, and what is to be, newest event first",
		ValidArgsFunction: r.completeIDs}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if f.EventID == "" || len(args) > 0 {
			return oneID(cmd, args)
		}
		for _, name := range []string{"status", "event", "resource-id", "from", "to"} {
			if cmd.Flags().Changed(name) {
				return usage(fmt.Sprintf("--%s selects of a subscription's deliveries, and none is named", name), "leave it out, or name the subscription")
			}
		}
		return nil
	}
	statuses := []string{client.DeliveryPending, client.DeliveryDelivered, client.DeliveryFailed, client.DeliveryDropped}
	cmd.Flags().StringVar(&f.Status, "status", "", "only those that are "+strings.Join(statuses, ", "))
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(statuses, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVar(&f.Event, "event", "", "only those of events such as contact.create")
	_ = cmd.RegisterFlagCompletionFunc("event", r.completeEvents(false))
	cmd.Flags().StringVar(&f.ResourceID, "resource-id", "", "only those of this instance, such as 42")
	cmd.Flags().StringVar(&f.EventID, "event-id", "", "only that of the event with this webhook-id; without SUBSCRIPTION those to all subscriptions, also of a position")
	cmd.Flags().StringVar(&from, "from", "", "only those whose event was committed since then: a time such as 2030-01-31T12:00:00Z, or how long ago, such as 2h")
	cmd.Flags().StringVar(&to, "to", "", "only those whose event was committed until then")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many at most; 0 is all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if f.From, err = timeFlag("from", from); err != nil {
			return err
		}
		if f.To, err = timeFlag("to", to); err != nil {
			return err
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		ofEvent := len(args) == 0
		var all iter.Seq2[*client.LoggedDelivery, error]
		if ofEvent {
			all = c.EventDeliveries(cmd.Context(), f.EventID)
		} else {
			all = c.Deliveries(cmd.Context(), args[0], f)
		}
		found, more := []*client.LoggedDelivery{}, false
		for d, err := range all {
			switch {
			case err != nil && ofEvent:
				return unknownEvent(answered(c, err))
			case err != nil:
				return r.unknownID(cmd.Context(), c, args[0], answered(c, err))
			}
			if more = limit > 0 && len(found) == limit; more {
				break
			}
			found = append(found, d)
		}
		if more {
			which := "the newest"
			if ofEvent {
				which = "the first"
			}
			fmt.Fprintf(p.stderr, "there are more: these are %s %d, --limit 0 lists all\n", which, limit)
		}
		if r.output == outputJSON {
			return p.printJSON(found)
		}
		if len(found) == 0 && ofEvent {
			fmt.Fprintln(p.stderr, "it was for no subscription that the token may see")
			return nil
		}
		if len(found) == 0 {
			fmt.Fprintln(p.stderr, "there are no such deliveries: its events may not match, or were before its time or the retention")
			return nil
		}
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		if ofEvent {
			fmt.Fprint(w, "SUBSCRIPTION\t")
		}
		fmt.Fprintln(w, "ID\tSTATUS\tTYPE\tINSTANCE\tCOMMITTED\tATTEMPTS\tRESULT")
		for _, d := range found {
			if ofEvent {
				fmt.Fprintf(w, "%s\t", d.Subscription)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", d.ID, d.Status, d.Event.Type, plainText(d.Event.Instance), d.Event.Timestamp.Format(time.RFC3339), d.AttemptCount, resultOf(d))
		}
		return w.Flush()
	}
	return cmd
}

// resultOf says in some words how a delivery has ended, or how it goes on.
func resultOf(d *client.LoggedDelivery) string {
	result := endOf(d)
	switch {
	case !d.Fallback:
		return result
	case result == "":
		return "at the fallback"
	}
	return result + ", at the fallback"
}

func endOf(d *client.LoggedDelivery) string {
	switch {
	case d.Status == client.DeliveryPending:
		next := "after an earlier event of its instance"
		if d.NextAttempt != nil {
			next = "next at " + d.NextAttempt.Format(time.RFC3339)
		}
		if d.RetryReason != "" {
			return d.RetryReason + ", " + next
		}
		return next
	case d.DroppedReason != "":
		return d.DroppedReason
	case d.HTTPStatus != nil && d.DurationMS != nil:
		return fmt.Sprintf("%d in %g ms", *d.HTTPStatus, *d.DurationMS)
	case d.DurationMS != nil:
		return fmt.Sprintf("no answer in %g ms", *d.DurationMS)
	}
	return ""
}

func (p *program) getDeliveryCommand(r *remote) *cobra.Command {
	return &cobra.Command{Use: "get ID", Short: "Show a delivery with its request and all attempts", Args: oneDeliveryID, RunE: func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		d, err := c.GetDelivery(cmd.Context(), args[0])
		if err != nil {
			return unknownDelivery(args[0], answered(c, err))
		}
		if r.output == outputJSON {
			return p.printJSON(d)
		}
		return printLogged(plain{p.stdout}, d)
	}}
}

// printLogged tells people of a delivery.
func printLogged(to io.Writer, d *client.LoggedDelivery) error {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "id\t%s\nsubscription\t%s\nevent\t%s\ntype\t%s\ninstance\t%s\ncommitted_at\t%s\n", d.ID, d.Subscription, d.Event.ID, d.Event.Type,
		oneLine(d.Event.Instance), d.Event.Timestamp.Format(time.RFC3339Nano))
	fmt.Fprintf(w, "status\t%s\nattempts\t%d\n", d.Status, d.AttemptCount)
	if result := resultOf(d); result != "" {
		fmt.Fprintf(w, "result\t%s\n", result)
	}
	if d.FinishedAt != nil {
		fmt.Fprintf(w, "finished_at\t%s\n", d.FinishedAt.Format(time.RFC3339Nano))
	}
	_ = w.Flush()
	if q := d.Request; q != nil {
		fmt.Fprintf(&b, "\nrequest, as the subscription is now:\n  %s %s\n", q.Method, oneLine(q.URL))
		printHeaders(&b, q.Headers)
		if q.Body != "" {
			fmt.Fprintf(&b, "\n  %s\n", strings.ReplaceAll(q.Body, "\n", "\n  "))
		}
		if q.Truncated && q.BodyBytes > 0 {
			fmt.Fprintf(&b, "  (the beginning of %d bytes)\n", q.BodyBytes)
		} else if q.Truncated {
			b.WriteString("  (the body is too large to be shown)\n")
		}
	}
	for _, a := range d.Attempts {
		fmt.Fprintf(&b, "\nattempt %d at %s: %s\n", a.Number, a.StartedAt.Format(time.RFC3339Nano), attemptResult(a))
		fmt.Fprintf(&b, "  %s\n", timingsOf(a.Timings))
		printHeaders(&b, a.Headers)
		if a.Answer != nil && a.Answer.Body != nil {
			fmt.Fprintf(&b, "  answer:\n    %s\n", strings.ReplaceAll(strings.TrimSpace(*a.Answer.Body), "\n", "\n    "))
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}

func printHeaders(b *strings.Builder, headers map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		fmt.Fprintf(b, "  %s: %s\n", name, oneLine(headers[name]))
	}
}

// oneLine is a text of somebody else's in a line of ours.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

func attemptResult(a client.LoggedAttempt) string {
	said := "delivered"
	if !a.Delivered {
		said = a.Reason
	}
	if a.Fallback {
		said += " (at the fallback)"
	}
	if a.Answer != nil {
		said += fmt.Sprintf(", status %d", a.Answer.Status)
	}
	if a.Detail != "" {
		said += ": " + oneLine(a.Detail)
	}
	if !a.Counts {
		said += " (not counted: the target asked for time)"
	}
	return said
}

func timingsOf(t client.LoggedTimings) string {
	var all []string
	for _, part := range []struct {
		name string
		ms   *float64
	}{{"DNS", t.DNSMS}, {"connect", t.ConnectMS}, {"TLS", t.TLSMS}, {"first byte", t.FirstByteMS}, {"total", &t.TotalMS}} {
		if part.ms != nil {
			all = append(all, fmt.Sprintf("%s %g ms", part.name, *part.ms))
		}
	}
	return strings.Join(all, ", ")
}

func (p *program) redeliverCommand(r *remote) *cobra.Command {
	return &cobra.Command{Use: "redeliver ID", Short: "Send a delivery that has ended again", Args: oneDeliveryID,
		Long: "redeliver sends the event again, with the same webhook-id and with webhook-replay: 1, in the order of its instance. Its\n" +
			"attempts are numbered on, and have the whole schedule. A delivery that was taken can be sent again too.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			d, err := c.Redeliver(cmd.Context(), args[0])
			if err != nil {
				return unknownDelivery(args[0], answered(c, err))
			}
			if r.output == outputJSON {
				return p.printJSON(d)
			}
			fmt.Fprintf(p.stderr, "it is sent again: rowhook delivery get %s shows what comes of it\n", d.ID)
			return nil
		}}
}

// unknownEvent says why an event may not be there.
func unknownEvent(err error) error {
	var told *client.Error
	if !errors.As(err, &told) || told.Status != 404 || told.Detail != "there is no such event" {
		return err
	}
	return fmt.Errorf("%w\n  hint: it was for nobody (retention.events: all keeps such ones), is older than the retention, or is another account's", err)
}

// unknownDelivery says where the delivery is of which the event was named: who receives knows no other id.
func unknownDelivery(id string, err error) error {
	var told *client.Error
	if !errors.As(err, &told) || told.Status != 404 || !strings.HasPrefix(id, "evt_") {
		return err
	}
	return fmt.Errorf("%w\n  hint: that is an event, which is a delivery for each subscription: rowhook delivery list --event-id %s", err, id)
}

func oneDeliveryID(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd.CommandPath()+" needs the id of one delivery", "rowhook delivery list SUBSCRIPTION shows them")
	}
	return nil
}
