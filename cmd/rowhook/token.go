package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
)

func (p *program) tokenCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and delete tokens of customers for a running rowhook",
		Long: "token talks to a running rowhook over its REST API, with an admin's token: see --url and --token, or ROWHOOK_URL and\n" +
			"ROWHOOK_TOKEN. Tokens of the config are not among these.",
		Example: "  rowhook token create --account 42 --expires-in 720h\n" +
			"  rowhook token list",
	}
	group(cmd)
	r.flags(cmd.PersistentFlags())
	completeOutput(cmd)
	cmd.AddCommand(p.createTokenCommand(&r), p.listTokensCommand(&r), p.deleteTokenCommand(&r))
	return cmd
}

func (p *program) createTokenCommand(r *remote) *cobra.Command {
	var n client.NewToken
	var expires time.Duration
	cmd := &cobra.Command{Use: "create --account ACCOUNT", Short: "Make a token of a customer; it is shown this once", Args: none}
	cmd.Flags().StringVar(&n.Account, "account", "", "the customer whom it lets in as, or * with --read-only for the admin")
	cmd.Flags().DurationVar(&expires, "expires-in", 0, "how long it lives: 720h; without it, until it is deleted")
	cmd.Flags().BoolVar(&n.ReadOnly, "read-only", false, "let it read only")
	cmd.Flags().StringVar(&n.Name, "name", "", "what the log calls the caller; its id if not given")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if n.Account == "" {
			return usage("--account is needed", "rowhook token create --account 42")
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		if expires != 0 {
			n.ExpiresIn = expires.String()
		}
		t, err := c.CreateToken(cmd.Context(), n)
		if err != nil {
			return answered(c, err)
		}
		if r.output == "json" {
			return p.printJSON(t)
		}
		fmt.Fprintf(p.stdout, "id     %s\ntoken  %s\n", t.ID, t.Token)
		fmt.Fprintln(p.stderr, "hand the token over: it is not shown again")
		return nil
	}
	return cmd
}

func (p *program) listTokensCommand(r *remote) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the tokens that were made and have not ended", Args: none, RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		all := []*client.Token{}
		for t, err := range c.Tokens(cmd.Context()) {
			if err != nil {
				return answered(c, err)
			}
			all = append(all, t)
		}
		if r.output == "json" {
			return p.printJSON(all)
		}
		if len(all) == 0 {
			fmt.Fprintln(p.stderr, "there are no tokens but those of the config")
			return nil
		}
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tACCOUNT\tMAY\tEXPIRES\tNAME")
		for _, t := range all {
			may, ends := "write", "never"
			if t.ReadOnly {
				may = "read"
			}
			if t.ExpiresAt != nil {
				ends = t.ExpiresAt.Format(time.RFC3339)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.ID, t.Account, may, ends, t.Name)
		}
		return w.Flush()
	}}
}

func (p *program) deleteTokenCommand(r *remote) *cobra.Command {
	return &cobra.Command{Use: "delete ID", Short: "End a token at once", Args: oneToken, ValidArgsFunction: r.completeTokens, RunE: func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		if err := c.DeleteToken(cmd.Context(), args[0]); err != nil {
			return answered(c, err)
		}
		fmt.Fprintln(p.stderr, "deleted: it lets nobody in any more")
		return nil
	}}
}

func oneToken(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd.CommandPath()+" needs the id of one token", "rowhook token list shows them")
	}
	return nil
}
