package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rowhook/rowhook/internal/problem"
)

// program is what the commands share.
type program struct {
	stdout, stderr io.Writer
	// began says that the command line was understood: what is wrong from then on is no matter of usage.
	began bool
}

func (p *program) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "rowhook",
		Short: "Turn the changes of a Postgres database into signed webhooks",
		Long: "rowhook reads the logical replication stream of a Postgres database and sends each committed change, in the\n" +
			"shape of your API, signed and retried, to the subscriptions that your customers make over a REST API.",
		Example: "  rowhook demo                          # see it at work, with a throw-away Postgres\n" +
			"  rowhook dev --database-url URL        # try it on a database of yours; it leaves nothing behind\n" +
			"  rowhook init --database-url URL       # print a config for it\n" +
			"  rowhook check --config config.yaml    # what is wrong with config and database, and what mends it\n" +
			"  rowhook run --config config.yaml      # the real thing",
		Version:       versionText(),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmd.ValidateFlagGroups(); err != nil {
				return explainGroup(err)
			}
			p.began = true
			return nil
		},
	}
	root.SetVersionTemplate("rowhook {{.Version}}" + buildText() + "\n")
	root.SetFlagErrorFunc(explainFlag)
	group(root)
	root.AddCommand(p.demoCommand(), p.devCommand(), p.initCommand(), p.checkCommand(), p.runCommand(), p.proxyCommand(), p.previewCommand(), p.compareCommand(),
		p.testCommand(), p.listenCommand(), p.verifyCommand(),
		p.subscriptionCommand(), p.eventTypeCommand(), p.eventCommand(), p.deliveryCommand(), p.tokenCommand(), p.jobCommand(), p.deadLetterCommand(),
		p.statusCommand(), p.pauseCommand(), p.resumeCommand(), p.drainCommand(), p.logLevelCommand(), p.uninstallCommand(), p.configCommand())
	for _, c := range root.Commands() {
		c.Flags().SortFlags = false
	}
	return root
}

// group makes a command that only has others under it: alone, or with a word that it does not know, it is wrong usage.
func group(cmd *cobra.Command) {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				names = append(names, c.Name())
			}
		}
		hint := problem.DidYouMean(args[0], names)
		if hint == "" {
			hint = "there are: " + strings.Join(names, ", ")
		}
		return usage(fmt.Sprintf("%s has no command %q", cmd.CommandPath(), args[0]), hint)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cmd.SetOut(cmd.ErrOrStderr())
		_ = cmd.Help()
		return errHelpShown
	}
}

// explainFlag names the flag that was probably meant.
func explainFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var wrong *pflag.InvalidValueError
	switch {
	case errors.As(err, &wrong) && wrong.GetFlag().Value.Type() == "duration":
		return usage(fmt.Sprintf("--%s %q is not a duration", wrong.GetFlag().Name, wrong.GetValue()), "write a number and a unit: 500ms, 15s, 5m, 720h")
	case !errors.As(err, &unknown):
		return usage(err.Error(), "")
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	hint := ""
	if near := problem.Nearest(unknown.GetSpecifiedName(), names); near != "" && len(unknown.GetSpecifiedName()) > 1 {
		hint = "did you mean --" + near + "?"
	}
	return usage(err.Error(), hint)
}

// explainGroup names the flags of which only one can be given.
func explainGroup(err error) error {
	_, all, ok := strings.Cut(err.Error(), "; [")
	all, ok2 := strings.CutSuffix(all, "] were all set")
	if !ok || !ok2 {
		return usage(err.Error(), "")
	}
	return usage("--"+strings.ReplaceAll(all, " ", " and --")+" do not go together", "leave one of them out")
}

// usageError is a command line that was not understood.
type usageError struct{ what, hint string }

func usage(what, hint string) error { return &usageError{what, hint} }

func (e *usageError) Error() string {
	if e.hint == "" {
		return e.what
	}
	return e.what + "\n  hint: " + e.hint
}

// errHelpShown ends a command that has shown its help instead of doing something.
var errHelpShown = errors.New("help shown")

// exit tells the error and gives the exit code.
func (p *program) exit(cmd *cobra.Command, err error) int {
	var wrong *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errDifferent), errors.Is(err, errNotVerified):
		return exitRefused
	case errors.Is(err, errHelpShown):
		return exitUsage
	case errors.Is(err, errFound):
		return exitRefused
	case errors.As(err, &wrong) || !p.began:
		fmt.Fprintf(p.stderr, "rowhook: %v\n  usage: %s\n  all of it: %s --help\n", err, cmd.UseLine(), cmd.CommandPath())
		return exitUsage
	}
	fmt.Fprintln(p.stderr, explain(err))
	return exitRefused
}

// explain is an error as text: mistakes in a config are a line each, which begins with its place, as editors like it.
func explain(err error) string {
	var list problem.List
	if errors.As(err, &list) {
		if len(list) == 1 {
			return "rowhook: the config has a mistake, so nothing was started\n" + list.Error()
		}
		return fmt.Sprintf("rowhook: the config has %d mistakes, so nothing was started\n%s", len(list), list.Error())
	}
	var lines []string
	for _, e := range joined(err) {
		lines = append(lines, explain(e))
	}
	if lines != nil {
		return strings.Join(lines, "\n")
	}
	return "rowhook: " + err.Error()
}

// joined are the errors that errors.Join has made one of; nil for any other.
func joined(err error) []error {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	all := several.Unwrap()
	if err.Error() != errors.Join(all...).Error() {
		return nil
	}
	return all
}

// colored says whether to colour what is written: to a terminal, unless its user does not want it. https://no-color.org
func colored(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// invocation is how the program was called, for lines to paste.
func invocation() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/rowhook" // what go run was given, most likely
	}
	return os.Args[0]
}
