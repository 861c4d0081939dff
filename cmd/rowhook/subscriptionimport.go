package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

const (
	// importLine is the longest line of an import in bytes: what the API takes of a body.
	importLine = 256 << 10
	// importTries is how often a line is sent while rowhook is busy, importPause the first pause between them.
	importTries = 6
	importPause = 500 * time.Millisecond
)

func (p *program) importCommand(r *remote) *cobra.Command {
	var i importing
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Take over subscriptions from elsewhere, with their ids and secrets",
		Long: "import reads one JSON object a line, from FILE or, for -, from standard input: what the API takes to make a subscription, with\n" +
			"the id that it has elsewhere, and if wanted its secret, state (active, shadow or disabled), created_at and account. A line that\n" +
			"was imported before changes nothing, so all of it can be run again. It needs an admin's token.",
		Example: "  rowhook subscription import --dry-run hooks.jsonl\n" +
			"  rowhook subscription import hooks.jsonl",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(fmt.Sprintf("%s needs one file", cmd.CommandPath()), "- is standard input")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&i.dry, "dry-run", false, "check each line, and make nothing")
	cmd.Flags().IntVar(&i.parallel, "parallel", 4, "how many lines are sent at once, 1 to 64")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if i.parallel < 1 || i.parallel > 64 {
			return usage(fmt.Sprintf("--parallel %d is not from 1 to 64", i.parallel), "")
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		in := io.Reader(cmd.InOrStdin())
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			in = f
		}
		i.c, i.p, i.json = c, p, r.output == "json"
		return i.run(cmd.Context(), in)
	}
	return cmd
}

// importing is one run of import.
type importing struct {
	c              *client.Client
	p              *program
	dry, json      bool
	parallel       int
	mu             sync.Mutex
	made, present  int
	refused, lines int
	// told are the lines that are done, and not said yet: mistakes are said in the order of the lines. next is the line that
	// is to be said next.
	told map[int][]importedDetail
	next int
	// broken is what ended it: then it is not known of every line what became of it.
	broken error
}

// importedLine is a line and what came of it.
type importedLine struct {
	Line   int              `json:"line"`
	ID     string           `json:"id,omitempty"`
	Result string           `json:"result"`
	Secret string           `json:"secret,omitempty"`
	Errors []importedDetail `json:"errors,omitempty"`
}

type importedDetail struct {
	Field  string `json:"field,omitempty"`
	Detail string `json:"detail"`
}

type numbered struct {
	n    int
	text []byte
}

func (i *importing) run(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan numbered)
	var work sync.WaitGroup
	for range i.parallel {
		work.Go(func() {
			for l := range lines {
				if err := i.one(ctx, l); err != nil {
					i.stop(err)
					cancel()
				}
			}
		})
	}
	if err := i.read(ctx, in, lines); err != nil {
		i.stop(err)
	}
	close(lines)
	work.Wait()
	for _, n := range slices.Sorted(maps.Keys(i.told)) {
		i.say(n)
	}
	what := "made"
	if i.dry {
		what = "to be made"
	}
	if !i.json {
		fmt.Fprintf(i.p.stdout, "%d %s, %d already there, %d refused, of %d\n", i.made, what, i.present, i.refused, i.lines)
	}
	switch {
	case i.broken != nil:
		return fmt.Errorf("%w\n  hint: not every line was sent; run it again: what was imported already does not change", i.broken)
	case i.refused > 0:
		return fmt.Errorf("%d of %d lines were refused\n  hint: mend them and run it again: what was imported already does not change", i.refused, i.lines)
	}
	return nil
}

// read hands on the lines that can be sent.
func (i *importing) read(ctx context.Context, in io.Reader, lines chan<- numbered) error {
	first := map[string]int{}
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 64<<10), importLine)
	n := 0
	for s.Scan() {
		n++
		text := bytes.TrimSpace(s.Bytes())
		if n == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // as some editors begin a file
		}
		if len(text) == 0 {
			i.pass(n)
			continue
		}
		i.mu.Lock()
		i.lines++
		i.mu.Unlock()
		var given struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(text, &given); given.ID != "" {
			if before, ok := first[given.ID]; ok {
				i.tell(importedLine{Line: n, ID: given.ID, Errors: []importedDetail{{"id", fmt.Sprintf("is that of line %d too", before)}}})
				continue
			}
			first[given.ID] = n
		}
		select {
		case lines <- numbered{n, bytes.Clone(text)}:
		case <-ctx.Done():
			return nil // whoever ended it has said why
		}
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d has more than %d bytes: one subscription has no more; is it one object a line?", n+1, importLine)
	}
	if s.Err() != nil {
		return fmt.Errorf("read line %d: %w", n+1, s.Err())
	}
	return nil
}

// one sends a line. An error is one that ends the whole.
func (i *importing) one(ctx context.Context, l numbered) error {
	if !json.Valid(l.text) {
		i.tell(importedLine{Line: l.n, Errors: []importedDetail{{"", "is not JSON: give one object a line"}}})
		return nil
	}
	for try := 1; ; try++ {
		done, err := i.c.Import(ctx, l.text, i.dry)
		var told *client.Error
		switch {
		case err == nil:
			i.tell(importedLine{Line: l.n, ID: done.ID, Result: done.Result, Secret: done.Secret})
			return nil
		case !errors.As(err, &told):
			return answered(i.c, err)
		case told.Status == 429 || told.Status == 503:
			if try == importTries {
				return err
			}
			if err := wait(ctx, importPause<<(try-1)); err != nil {
				return err
			}
			continue
		case told.Status == 401, told.Status == 403, told.Status == 404, told.Status == 405, told.Status >= 500:
			return answered(i.c, err)
		}
		refused := importedLine{Line: l.n}
		for _, f := range told.Fields {
			refused.Errors = append(refused.Errors, importedDetail{f.Field, f.Detail})
		}
		if told.Status == 409 || len(told.Fields) == 0 {
			refused.Errors = append([]importedDetail{{"", cmp.Or(told.Detail, told.Title)}}, refused.Errors...)
		}
		i.tell(refused)
		return nil
	}
}

// wait is over after d, or with ctx.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop keeps the first reason to end.
func (i *importing) stop(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.broken == nil {
		i.broken = err
	}
}

// tell counts what became of a line, and says it where there is something to be said.
func (i *importing) tell(l importedLine) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch l.Result {
	case client.ImportMade:
		i.made++
	case client.ImportPresent:
		i.present++
	default:
		l.Result = "refused"
		i.refused++
	}
	if i.json {
		line, err := json.Marshal(l)
		if err == nil {
			fmt.Fprintf(i.p.stdout, "%s\n", line)
		}
		return
	}
	if l.Secret != "" {
		fmt.Fprintf(i.p.stdout, "line %d: %s has the new secret %s\n", l.Line, l.ID, l.Secret)
	}
	i.done(l.Line, l.Errors)
}

// pass goes over a line that has nothing in it.
func (i *importing) pass(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.done(n, nil)
}

// done says the mistakes of a line once those of all lines before it are said.
func (i *importing) done(n int, mistakes []importedDetail) {
	if i.told == nil {
		i.told = map[int][]importedDetail{}
	}
	i.told[n] = mistakes
	for {
		if _, ok := i.told[i.next+1]; !ok {
			return
		}
		i.next++
		i.say(i.next)
	}
}

func (i *importing) say(n int) {
	for _, e := range i.told[n] {
		at := fmt.Sprintf("line %d: ", n)
		if e.Field != "" {
			at += e.Field + ": "
		}
		fmt.Fprintln(i.p.stderr, at+e.Detail)
	}
	delete(i.told, n)
}

func (p *program) exportCommand(r *remote) *cobra.Command {
	var f client.Filter
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print subscriptions as import takes them, without their secrets",
		Args:  none,
	}
	cmd.Flags().StringVar(&f.State, "state", "", "only those in this state: active, shadow or disabled")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		var without []string
		expired := 0
		for s, err := range c.Select(cmd.Context(), f) {
			if err != nil {
				return answered(c, err)
			}
			if s.State == "expired" {
				expired++
				continue
			}
			if strings.Contains(s.TargetURL, "://***@") || strings.Contains(s.Delivery.FallbackURL, "://***@") {
				without = append(without, s.ID)
			}
			if s.UpdatedAt = (time.Time{}); s.State != "disabled" {
				s.DisabledReason = nil
			}
			line, err := json.Marshal(s)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "%s\n", line)
		}
		if expired > 0 {
			fmt.Fprintf(p.stderr, "left out: %d that are expired\n", expired)
		}
		if slices.Sort(without); len(without) > 0 {
			fmt.Fprintf(p.stderr, "the URLs of %s have credentials, shown as ***: write them in before you import\n", strings.Join(without, ", "))
		}
		return nil
	}
	return cmd
}
