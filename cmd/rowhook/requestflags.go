package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/subscriptions"
)

// requestFlags say how requests are made. What is secret may be in a file, so that it is in no list of processes.
type requestFlags struct {
	format, signature, encoding, method string
	compression                         string
	headers                             []string
	bearer, basic, customData           string
}

func (f *requestFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.format, "format", "", "form of the bodies: "+strings.Join(subscriptions.Formats, ", "))
	cmd.Flags().StringVar(&f.signature, "signature", "", "how requests are signed: "+strings.Join(subscriptions.Signatures, ", "))
	cmd.Flags().StringVar(&f.encoding, "encoding", "", strings.Join(subscriptions.Encodings, " or "))
	cmd.Flags().StringVar(&f.method, "method", "", strings.Join(subscriptions.Methods, ", "))
	cmd.Flags().StringVar(&f.compression, "compression", "", strings.Join(subscriptions.Compressions, " or "))
	cmd.Flags().StringArrayVar(&f.headers, "header", nil, "a header that is sent too: name=value, or name=@file; may be given several times")
	cmd.Flags().StringVar(&f.bearer, "auth-bearer", "", "a token for the target, or @file with one")
	cmd.Flags().StringVar(&f.basic, "auth-basic", "", "user:password for the target, or @file with them")
	cmd.Flags().StringVar(&f.customData, "custom-data", "", `members for every body: '{"tenant": "acme"}'`)
	for name, values := range map[string][]string{"format": subscriptions.Formats, "signature": subscriptions.Signatures,
		"encoding": subscriptions.Encodings, "method": subscriptions.Methods, "compression": subscriptions.Compressions} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// request is what the flags ask for.
func (f *requestFlags) request() (client.Request, error) {
	r := client.Request{Format: f.format, Signature: f.signature, Encoding: f.encoding, Method: strings.ToUpper(f.method), Compression: f.compression}
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, "=")
		if !ok {
			return r, usage(fmt.Sprintf("--header %q has no value", h), "--header x-tenant=acme, or --header x-key=@key.txt")
		}
		value, err := secretFlag("--header "+name, value)
		if err != nil {
			return r, err
		}
		if r.Headers == nil {
			r.Headers = map[string]string{}
		}
		r.Headers[name] = value
	}
	switch {
	case f.bearer != "" && f.basic != "":
		return r, usage("--auth-bearer and --auth-basic are both given", "leave one of them out")
	case f.bearer != "":
		token, err := secretFlag("--auth-bearer", f.bearer)
		if err != nil {
			return r, err
		}
		r.Auth = &client.Auth{Type: subscriptions.AuthBearer, Token: token}
	case f.basic != "":
		both, err := secretFlag("--auth-basic", f.basic)
		if err != nil {
			return r, err
		}
		user, password, ok := strings.Cut(both, ":")
		if !ok {
			return r, usage("--auth-basic has no colon", "give user:password, or @file with them")
		}
		r.Auth = &client.Auth{Type: subscriptions.AuthBasic, Username: user, Password: password}
	}
	if f.customData != "" {
		if !json.Valid([]byte(f.customData)) {
			return r, usage("--custom-data is not JSON", `--custom-data '{"tenant": "acme"}'`)
		}
		r.CustomData = json.RawMessage(f.customData)
	}
	return r, nil
}

// requestMembers are the members that the flags give.
var requestMembers = map[string]string{"format": "format", "signature": "signature", "encoding": "encoding", "method": "method", "compression": "compression", "header": "headers",
	"auth-bearer": "auth", "auth-basic": "auth", "custom-data": "custom_data"}

// into puts what was given into the body's request block. A flag that says nothing ("") gives null: the member's default.
func (f *requestFlags) into(cmd *cobra.Command, body client.Patch) error {
	r, err := f.request()
	if err != nil {
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var given map[string]any
	if err := json.Unmarshal(text, &given); err != nil {
		return err
	}
	block, _ := body["request"].(map[string]any)
	for flag, member := range requestMembers {
		if !cmd.Flags().Changed(flag) {
			continue
		}
		if block == nil {
			block = map[string]any{}
			body["request"] = block
		}
		block[member] = given[member]
	}
	return nil
}

// secretFlag is a flag's value, or what the file named in it holds. An error does not show the value.
func secretFlag(flag, value string) (string, error) {
	path, ok := strings.CutPrefix(value, "@")
	if !ok {
		return value, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// shownRequest is a request block in one line, for people.
func shownRequest(r client.Request) string {
	b, err := json.Marshal(r)
	if err != nil || string(b) == "{}" {
		return ""
	}
	return string(b)
}
