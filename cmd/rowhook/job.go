package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

func (p *program) jobCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:     "job",
		Aliases: []string{"jobs"},
		Short:   "List, show, wait for and cancel what takes longer than a request, such as replays and backfills",
		Long: "A job is something that was asked for and takes longer than a request, such as rowhook subscription replay. It goes on\n" +
			"after a restart of rowhook. The commands talk to a running rowhook. The address and the token come from --url and\n" +
			"--token, or from ROWHOOK_URL and ROWHOOK_TOKEN.",
		Example: "  rowhook job list sub_s4gfrbe74abr2t6lqk6uias3i7\n" +
			"  rowhook job wait job_7zq2rnk4hdvrlrqkz6uphbnkrk",
	}
	group(cmd)
	r.flags(cmd.PersistentFlags())
	completeOutput(cmd)
	cmd.AddCommand(p.listJobsCommand(&r), p.getJobCommand(&r), p.waitJobCommand(&r), p.cancelJobCommand(&r))
	return cmd
}

func (p *program) listJobsCommand(r *remote) *cobra.Command {
	return &cobra.Command{Use: "list SUBSCRIPTION", Short: "List the jobs of a subscription, newest first", Args: oneID, ValidArgsFunction: r.completeIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			all, err := c.Jobs(cmd.Context(), args[0])
			if err != nil {
				return answered(c, r.unknownID(cmd.Context(), c, args[0], err))
			}
			if r.output == "json" {
				return p.printJSON(all)
			}
			if len(all) == 0 {
				fmt.Fprintln(p.stderr, "there are no jobs")
				return nil
			}
			w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tKIND\tSTATE\tDONE\tOF\tCREATED\tBY")
			for _, j := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", j.ID, j.Kind, j.State, j.Done, totalOf(j), j.CreatedAt.Format(time.RFC3339), plainText(j.RequestedBy))
			}
			return w.Flush()
		}}
}

// totalOf is how much a job has to do, ? where that is not known.
func totalOf(j *client.Job) string {
	if j.Total == nil {
		return "?"
	}
	return strconv.FormatInt(*j.Total, 10)
}

func (p *program) getJobCommand(r *remote) *cobra.Command {
	return &cobra.Command{Use: "get ID", Short: "Show a job", Args: oneJob, ValidArgsFunction: cobra.NoFileCompletions, RunE: func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		j, err := c.Job(cmd.Context(), args[0])
		if err != nil {
			return answered(c, err)
		}
		if r.output == "json" {
			return p.printJSON(j)
		}
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "id\t%s\nkind\t%s\nstate\t%s\nsubscription\t%s\ndone\t%d of %s\n", j.ID, j.Kind, j.State, j.Subscription, j.Done, totalOf(j))
		for _, t := range j.Resources {
			fmt.Fprintf(w, "%s\t%d sent", t.Resource, t.Sent)
			if t.Failed > 0 {
				fmt.Fprintf(w, ", %d could not be mapped", t.Failed)
				if t.Failure != "" {
					fmt.Fprintf(w, ": %s", plainText(t.Failure))
				}
			}
			fmt.Fprintln(w)
		}
		if j.Error != "" {
			fmt.Fprintf(w, "error\t%s\n", j.Error)
		}
		fmt.Fprintf(w, "requested_by\t%s\ncreated_at\t%s\n", plainText(j.RequestedBy), j.CreatedAt.Format(time.RFC3339))
		for _, t := range []struct {
			name string
			at   *time.Time
		}{{"started_at", j.StartedAt}, {"finished_at", j.FinishedAt}} {
			if t.at != nil {
				fmt.Fprintf(w, "%s\t%s\n", t.name, t.at.Format(time.RFC3339))
			}
		}
		return w.Flush()
	}}
}

func (p *program) waitJobCommand(r *remote) *cobra.Command {
	return &cobra.Command{Use: "wait ID", Short: "Show how far a job is, until it ends; exits with 1 if it is not done then", Args: oneJob, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			j, err := c.Job(cmd.Context(), args[0])
			if err != nil {
				return answered(c, err)
			}
			return p.awaitJob(cmd.Context(), r, c, j)
		}}
}

func (p *program) cancelJobCommand(r *remote) *cobra.Command {
	return &cobra.Command{Use: "cancel ID", Short: "End a job; what it has queued by then is sent", Args: oneJob, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			if err := c.CancelJob(cmd.Context(), args[0]); err != nil {
				return answered(c, err)
			}
			fmt.Fprintln(p.stderr, "cancelled: what was queued by then is sent")
			return nil
		}}
}

// awaitJob shows how far a job is until it ends. It is an error if it has not done all.
func (p *program) awaitJob(ctx context.Context, r *remote, c *client.Client, j *client.Job) error {
	bar := newProgress(p.stderr)
	defer bar.end()
	tick := time.NewTicker(awaitEvery)
	defer tick.Stop()
	for {
		bar.show(j.State, j.Done, j.Total)
		if j.Ended() {
			break
		}
		select {
		case <-ctx.Done():
			bar.end()
			fmt.Fprintf(p.stderr, "it goes on: rowhook job wait %s, or rowhook job cancel %[1]s\n", j.ID)
			return ctx.Err()
		case <-tick.C:
		}
		next, err := c.Job(ctx, j.ID)
		var told *client.Error
		switch {
		case err == nil:
			j = next
		case ctx.Err() == nil && errors.As(err, &told) && told.Status < 500:
			return answered(c, err)
		}
		// rowhook may be restarting, and the job goes on then.
	}
	bar.end()
	if r.output == "json" {
		if err := p.printJSON(j); err != nil {
			return err
		}
	} else if j.State == client.JobDone {
		fmt.Fprintf(p.stdout, "%s queued\n", count(int(queuedBy(j)), "event"))
	}
	switch j.State {
	case client.JobDone:
		return nil
	case client.JobFailed:
		return fmt.Errorf("%s has failed after %s: %s", j.ID, count(int(queuedBy(j)), "event"), j.Error)
	}
	return fmt.Errorf("%s was %s after %s", j.ID, j.State, count(int(queuedBy(j)), "event"))
}

// oneJob takes the id of a job.
func oneJob(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd.CommandPath()+" needs the id of one job", "rowhook job list SUBSCRIPTION shows them")
	}
	return nil
}
