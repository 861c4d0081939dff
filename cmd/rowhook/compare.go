package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/internal/comparison"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/preview"
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
	src, err := preview.Open(ctx, cfg, "rowhook compare", resources...)
	if err != nil {
		return err
	}
	defer src.Close(ctx)
	x := comparison.Comparer{Source: src, Envelopes: map[string]string{}, Ignore: c.ignore}
	for _, at := range c.at {
		resource, path, several := strings.Cut(at, "=")
		if !several {
			resource, path = "", at
		}
		if path == "" || resource != "" && !slices.Contains(resources, resource) {
			return usage(fmt.Sprintf("--at %q is not one", at), "--at data, or --at RESOURCE=data, of a resource that is compared")
		}
		x.Envelopes[resource] = path
	}
	r := report{output: p.stdout, told: p.stderr, verbose: c.verbose, json: c.output == "json"}
	if c.all && len(without) > 0 {
		fmt.Fprintf(p.stderr, "not compared, since they have no path: %s\n", strings.Join(without, ", "))
	}
	for _, name := range resources {
		info, _ := src.Mapper.Resource(name)
		result, err := compareRows(ctx, &x, info, args, c.sample)
		if err != nil {
			return fmt.Errorf("compare %s: %w", name, err)
		}
		r.add(result)
	}
	return r.end()
}

// compareRows compares the given rows of a resource, or a sample.
func compareRows(ctx context.Context, x *comparison.Comparer, info mapping.ResourceInfo, args []string, sample int) (*comparison.Result, error) {
	if len(args) > 1 {
		keys, err := comparison.Keys(info, args[1:])
		if err != nil {
			return nil, err
		}
		return x.Compare(ctx, info, keys, false)
	}
	keys, err := preview.SampleKeys(ctx, x.Conn, info, sample)
	if err != nil {
		return nil, err
	}
	return x.Compare(ctx, info, keys, true)
}
