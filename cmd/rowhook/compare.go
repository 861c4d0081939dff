package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/application"
	"github.com/rowhook/rowhook/internal/compare"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/mapping"
)

// comparing is what the flags of compare say.
type comparing struct {
	all     bool
	sample  int
	at      []string
	ignore  []string
	output  string
	verbose bool
}

// errDifferent ends a comparison that has told what differs.
var errDifferent = errors.New("differences were told")

func (p *program) compareCommand() *cobra.Command {
	var file string
	var c comparing
	cmd := &cobra.Command{
		Use:   "compare --config FILE RESOURCE [KEY…]",
		Short: "Compare what would be sent with what the API answers",
		Long: "compare reads rows, makes the data that would be sent for them, asks the application for the same instances at\n" +
			"app.url and the resource's path, and tells where the two differ. Without keys it takes a sample: rows spread over the\n" +
			"range of keys, always the same ones. A difference counts when it is there again after both were read again. The exit\n" +
			"code is 1 where there are differences, or something could not be compared. It changes nothing.",
		Example: "  rowhook compare --config config.yaml contact 42 43\n" +
			"  rowhook compare --config config.yaml --all --sample 100\n" +
			"  rowhook compare --config config.yaml contact --at data --ignore updated_at,links.self",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case c.all && len(args) > 0:
				return usage("--all takes no resource", "rowhook compare --config config.yaml --all")
			case !c.all && len(args) == 0:
				return usage("compare needs a resource, or --all", "rowhook compare --config config.yaml contact 42")
			}
			return nil
		},
	}
	addConfigFlag(cmd, &file)
	f := cmd.Flags()
	f.BoolVar(&c.all, "all", false, "a sample of every resource that has a path")
	f.IntVar(&c.sample, "sample", 20, "how many rows to take where no key is given")
	f.StringArrayVar(&c.at, "at", nil, "where the instance is in the answer: data; with several resources RESOURCE=data")
	f.StringSliceVar(&c.ignore, "ignore", nil, "fields that may differ, with all below them: updated_at,links.self,tags[].id")
	f.BoolVar(&c.verbose, "verbose", false, "every row of a difference, not just the first 3")
	f.StringVarP(&c.output, "output", "o", "text", "text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case file == "":
			return errNoConfig(cmd)
		case c.output != "text" && c.output != "json":
			return usage(fmt.Sprintf("--output %q is not one", c.output), "text or json")
		case c.sample < 1 || c.sample > maxSample:
			return usage(fmt.Sprintf("--sample %d is out of range", c.sample), fmt.Sprintf("1 to %d", maxSample))
		}
		cfg, err := config.Load(file)
		if err != nil {
			return err
		}
		return p.compare(cmd.Context(), cfg, &c, args)
	}
	return cmd
}

// maxSample bounds a sample: each row is a request.
const maxSample = 100_000

// comparison is one run of compare.
type comparison struct {
	*comparing
	*source
	envelopes map[string]string
}

func (p *program) compare(ctx context.Context, cfg *config.Config, c *comparing, args []string) error {
	if cfg.App.URL == "" {
		return errors.New("the config has no app.url: there is nobody to compare with\n  hint: add app: {url: http://127.0.0.1:3000, headers: {authorization: \"Bearer ${env:APP_TOKEN}\"}}")
	}
	var resources, without []string
	for _, r := range cfg.Mapping.Resources {
		if r.Path == nil {
			without = append(without, r.Name)
		} else {
			resources = append(resources, r.Name)
		}
	}
	switch {
	case len(args) > 0 && slices.Contains(without, args[0]):
		return fmt.Errorf("resource %s has no path: it is not known where its API is\n  hint: add what stands behind app.url, as in path: /contacts/${id}", args[0])
	case len(args) > 0:
		resources = args[:1]
	case len(resources) == 0:
		return errors.New("no resource has a path: it is not known where its API is\n  hint: add path: /contacts/${id} to a resource, under app.url")
	}
	src, err := openSource(ctx, cfg, "rowhook compare", resources...)
	if err != nil {
		return err
	}
	defer src.close(ctx)
	x := comparison{comparing: c, source: src, envelopes: map[string]string{}}
	for _, at := range c.at {
		resource, path, several := strings.Cut(at, "=")
		if !several {
			resource, path = "", at
		}
		if path == "" || resource != "" && !slices.Contains(resources, resource) {
			return usage(fmt.Sprintf("--at %q is not one", at), "--at data, or --at RESOURCE=data, of a resource that is compared")
		}
		x.envelopes[resource] = path
	}
	r := report{output: p.stdout, told: p.stderr, verbose: c.verbose, json: c.output == "json"}
	if c.all && len(without) > 0 {
		fmt.Fprintf(p.stderr, "not compared, since they have no path: %s\n", strings.Join(without, ", "))
	}
	for _, name := range resources {
		info, _ := src.mapper.Resource(name)
		result, err := x.resource(ctx, info, args)
		if err != nil {
			return fmt.Errorf("compare %s: %w", name, err)
		}
		r.add(result)
	}
	return r.end()
}

// resource compares the given rows of a resource, or a sample.
func (x *comparison) resource(ctx context.Context, info mapping.ResourceInfo, args []string) (*result, error) {
	out := &result{Resource: info.Name, FromAPI: info.FromAPI}
	var keys [][]string
	if len(args) > 1 {
		for _, key := range args[1:] {
			values, err := splitKey(key, len(info.Key))
			if err != nil {
				return nil, fmt.Errorf("the key of %s is %s: %w", info.Name, strings.Join(info.Key, ", "), err)
			}
			keys = append(keys, values)
		}
	} else {
		var err error
		if keys, err = sampleKeys(ctx, x.conn, info, x.sample); err != nil {
			return nil, err
		}
		out.sampled = true
	}
	for _, values := range keys {
		key := joinKey(values)
		found, err := x.row(ctx, info, key, values)
		var refused *application.Error
		var gone *noRowError
		switch {
		case err == nil:
			out.compared(key, found)
		case errors.Is(err, errNoInstance):
			out.NotInstances = append(out.NotInstances, key)
		case errors.As(err, &gone) && out.sampled: // deleted meanwhile
		case errors.As(err, &gone):
			out.failed(key, err)
		case errors.As(err, &refused) && refused.Missing():
			out.NotFound = append(out.NotFound, key)
		case errors.As(err, &refused) && refused.Own():
			out.failed(key, err)
		default:
			return nil, err
		}
	}
	return out, nil
}

// errNoInstance says that a row is none of its resource.
var errNoInstance = errors.New("where does not hold, or delete_when does")

// reads is how often a row that differs is read at most, until two reads are the same.
const reads = 3

// row compares one row. What differs is read again: the row may have changed between the two reads.
func (x *comparison) row(ctx context.Context, info mapping.ResourceInfo, key string, values []string) (found []compare.Difference, err error) {
	var lastOurs, lastTheirs []byte
	for n := range reads {
		row, err := readRowOf(ctx, x.conn, info, key, values)
		if err != nil {
			return nil, err
		}
		is, err := x.mapper.IsInstance(info.Name, row)
		if err != nil {
			return nil, err
		}
		if !is {
			return nil, errNoInstance
		}
		path, err := x.mapper.Path(info.Name, row)
		if err != nil {
			return nil, err
		}
		if path == "" {
			return nil, fmt.Errorf("%s %s has no address: a value of path is null or empty", info.Name, key)
		}
		theirs, err := x.app.Get(ctx, path)
		if err != nil {
			return nil, err
		}
		e, err := x.render(ctx, info.Name, cdc.Update, row, func(context.Context, string) ([]byte, error) { return theirs, nil })
		if err != nil {
			return nil, err
		}
		if n > 0 && bytes.Equal(e.Data, lastOurs) && bytes.Equal(theirs, lastTheirs) {
			return found, nil
		}
		lastOurs, lastTheirs = e.Data, theirs
		if found, err = x.diff(info.Name, e.Data, theirs); err != nil || len(found) == 0 {
			return nil, err
		}
	}
	return found, nil
}

func (x *comparison) diff(resource string, ours, theirs []byte) ([]compare.Difference, error) {
	at, given := x.envelopes[resource]
	if !given {
		at, given = x.envelopes[""]
	}
	if given {
		inner, ok := compare.At(theirs, at)
		if !ok {
			return nil, fmt.Errorf("the API's answer has nothing at %s, which --at names", at)
		}
		theirs = inner
	}
	return compare.Diff(ours, theirs, x.ignore)
}
