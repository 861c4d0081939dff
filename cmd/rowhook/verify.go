package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/internal/verify"
)

// captureMax bounds what is read of a captured request: no body is larger.
const captureMax = 128 << 20

// errNotVerified ends a verify that has said what is wrong.
var errNotVerified = errors.New("not verified")

type verifyFlags struct {
	secret, body, at, output string
	headers                  []string
}

func (p *program) verifyCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Check a captured request against a secret: which part is wrong",
		Long: "verify reads a request as a receiver has written it down: headers, an empty line, and the body, byte for byte. FILE is that\n" +
			"request, - is stdin; or give its parts with --header and --body. It says of each part whether it is right, and what was done\n" +
			"to the one that is not. It asks nobody, and shows nothing of the secret.\n\n" +
			"The secret is that of --secret, or of the variable WEBHOOK_SECRET. It exits with 1 if the request is not verified.",
		Example: "  WEBHOOK_SECRET=whsec_… rowhook verify request.http\n" +
			"  rowhook verify --secret whsec_… --body body.json --header 'webhook-id: evt_…' \\\n" +
			"    --header 'webhook-timestamp: 1795323242' --header 'webhook-signature: v1,…'",
		Args: func(_ *cobra.Command, args []string) error { return f.check(args) },
	}
	cmd.Flags().StringVar(&f.secret, "secret", "", "the subscription's secret (whsec_…); or set WEBHOOK_SECRET")
	cmd.Flags().StringVar(&f.body, "body", "", "a file with the body alone, - for stdin; the headers by --header then")
	cmd.Flags().StringArrayVar(&f.headers, "header", nil, "a header of the request: 'webhook-id: evt_…'; may be given several times")
	cmd.Flags().StringVar(&f.at, "at", "", "when it arrived: 2026-11-22T04:54:03Z, or now; without it its age is not judged")
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return p.verify(cmd, f, args) }
	return cmd
}

func (f verifyFlags) check(args []string) error {
	switch {
	case len(args) > 1:
		return usage(fmt.Sprintf("verify takes one file, and got %d", len(args)), "rowhook verify request.http")
	case len(args) == 1 && (f.body != "" || len(f.headers) > 0):
		return usage("FILE is the whole request, and --header or --body is given too", "give one or the other")
	case len(args) == 0 && (f.body == "" || len(f.headers) == 0):
		return usage("there is no request", "rowhook verify request.http, or --body FILE with --header for each header that begins with webhook-")
	case f.output != "text" && f.output != "json":
		return usage(fmt.Sprintf("--output %q is not one", f.output), "text or json")
	}
	if _, err := f.arrived(); err != nil {
		return err
	}
	return nil
}

// arrived is zero where it is not known.
func (f verifyFlags) arrived() (time.Time, error) {
	switch f.at {
	case "":
		return time.Time{}, nil
	case "now":
		return time.Now(), nil
	}
	at, err := time.Parse(time.RFC3339, f.at)
	if err != nil {
		return at, usage(fmt.Sprintf("--at %q is not a time", f.at), "2026-11-22T04:54:03Z, or now")
	}
	return at, nil
}

// capture reads the request.
func (f verifyFlags) capture(cmd *cobra.Command, args []string) (*verify.Capture, error) {
	name := f.body
	if len(args) == 1 {
		name = args[0]
	}
	var in io.Reader = cmd.InOrStdin()
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	raw, err := io.ReadAll(io.LimitReader(in, captureMax+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > captureMax {
		return nil, fmt.Errorf("%s is larger than %d MiB: no request is", name, captureMax>>20)
	}
	if len(args) == 1 {
		c, err := verify.Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return c, nil
	}
	c := &verify.Capture{Header: map[string][]string{}, Body: raw}
	for _, h := range f.headers {
		if err := c.Add(h); err != nil {
			return nil, fmt.Errorf("--header %q %w", h, err)
		}
	}
	return c, nil
}

func (p *program) verify(cmd *cobra.Command, f verifyFlags, args []string) error {
	if f.secret == "" {
		if f.secret = os.Getenv("WEBHOOK_SECRET"); f.secret == "" {
			return usage("there is no secret", "set WEBHOOK_SECRET, or give --secret whsec_…")
		}
	}
	c, err := f.capture(cmd, args)
	if err != nil {
		return err
	}
	at, err := f.arrived()
	if err != nil {
		return err
	}
	r := verify.Check(c, f.secret, at)
	if f.output == "json" {
		if err := p.printJSON(r); err != nil {
			return err
		}
	} else {
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		for _, part := range r.Findings {
			fmt.Fprintf(w, "%s\t%s\t%s\n", part.Part, strings.ToUpper(string(part.State)), part.Detail)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if r.Verified {
		return nil
	}
	wrong := r.First()
	fmt.Fprintf(p.stderr, "rowhook: not verified: %s %s\n  hint: %s\n", wrong.Part, wrong.Detail, wrong.Next)
	return errNotVerified
}
