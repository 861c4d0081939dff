package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/problem"
)

// patient is how long a shell waits for rowhook when it completes a word, and an error for its hint.
const patient = time.Second

// few is how many subscriptions are looked at for a hint, or offered to a shell.
const few = 200

// someSubscriptions are the first few, or none if they do not come in time.
func someSubscriptions(ctx context.Context, c *client.Client) []*client.Subscription {
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	var some []*client.Subscription
	for s, err := range c.List(ctx) {
		if err != nil || len(some) == few {
			break
		}
		some = append(some, s)
	}
	return some
}

// unknownID adds to an error that there is no such subscription which one was probably meant.
func (r *remote) unknownID(ctx context.Context, c *client.Client, id string, err error) error {
	var told *client.Error
	if !errors.As(err, &told) || told.Status != 404 || told.Detail != "there is no such subscription" {
		return err
	}
	some := someSubscriptions(ctx, c)
	var ids, begin []string
	for _, s := range some {
		ids = append(ids, s.ID)
		if strings.HasPrefix(s.ID, id) || s.Name != "" && strings.EqualFold(s.Name, id) {
			begin = append(begin, s.ID)
		}
	}
	switch near := problem.Nearest(id, ids); {
	case len(begin) == 1:
		return fmt.Errorf("%w\n  hint: did you mean %s?", err, begin[0])
	case near != "":
		return fmt.Errorf("%w\n  hint: did you mean %s?", err, near)
	}
	return fmt.Errorf("%w\n  hint: rowhook subscription list shows those that the token may see", err)
}

// completeIDs offers the ids of subscriptions, with what tells them apart.
func (r *remote) completeIDs(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, err := r.client()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var all []cobra.Completion
	for _, s := range someSubscriptions(cmd.Context(), c) {
		if strings.HasPrefix(s.ID, begun) {
			about := s.Name
			if about == "" {
				about = strings.Join(s.Events, ",") + " to " + s.TargetURL
			}
			all = append(all, cobra.CompletionWithDesc(s.ID, plainText(about)))
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// completeEvents offers the names of events, also after a comma where there may be several.
func (r *remote) completeEvents(several bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		c, err := r.visitor()
		if err != nil || !several && len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		before := ""
		if i := strings.LastIndexByte(begun, ','); several && i >= 0 {
			before, begun = begun[:i+1], begun[i+1:]
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), patient)
		defer cancel()
		types, err := c.EventTypes(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var all []cobra.Completion
		offer := func(name string) {
			if strings.HasPrefix(name, begun) {
				all = append(all, before+name)
			}
		}
		resource := ""
		for _, t := range types {
			if several && t.Resource != resource {
				resource = t.Resource
				offer(resource + ".*")
			}
			offer(t.Name)
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeLetters offers the ids of open dead letters, and completeTokens those of tokens.
func (r *remote) completeLetters(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, err := r.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), patient)
	defer cancel()
	var all []cobra.Completion
	for l, err := range c.DeadLetters(ctx, client.DeadLetterFilter{State: client.DeadLetterOpen}) {
		if err != nil || len(all) == few {
			break
		}
		if strings.HasPrefix(l.ID, begun) {
			all = append(all, cobra.CompletionWithDesc(l.ID, l.Type+" "+plainText(l.Instance)))
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

func (r *remote) completeTokens(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, err := r.client()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), patient)
	defer cancel()
	var all []cobra.Completion
	for t, err := range c.Tokens(ctx) {
		if err != nil || len(all) == few {
			break
		}
		if strings.HasPrefix(t.ID, begun) {
			all = append(all, cobra.CompletionWithDesc(t.ID, plainText(t.Name+" of "+t.Account)))
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}
