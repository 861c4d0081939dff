package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
)

// The forms of output.
const (
	outputText = "text"
	outputJSON = "json"
)

var outputs = []string{outputText, outputJSON}

func addOutputFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVarP(to, "output", "o", outputText, strings.Join(outputs, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
}

func checkOutput(output string) error {
	if !slices.Contains(outputs, output) {
		return usage(fmt.Sprintf("--output %q is not one", output), strings.Join(outputs, ", "))
	}
	return nil
}

// plain passes texts on for a terminal: what rows and answers hold must not write elsewhere in it, or change its title.
type plain struct{ w io.Writer }

// Write takes whole characters.
func (p plain) Write(b []byte) (int, error) {
	if _, err := io.WriteString(p.w, plainText(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
