package sender

import (
	"errors"
	"net"
	"strings"
	"unicode"
	"unicode/utf8"
)

// detailMax bounds Outcome.Detail, in bytes.
const detailMax = 300

// detail is an error's text as it may be kept: the target has a say in it, through its certificate for one, and a NUL
// would be refused by the store for ever.
func detail(err error) string {
	text := strings.Map(func(r rune) rune {
		// Of the second kind are those that turn around, or hide, what stands beside them.
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(shown(err), "?"))
	if len(text) > detailMax {
		text = text[:detailMax]
		for !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	return text
}

// shown is an error's text without the target's URL, and without what tells of the network that rowhook is in: whoever made
// the subscription gets to see it.
func shown(err error) string {
	err = withoutURL(err)
	if isUnasked(err) {
		return "the target answered before it was asked"
	}
	var (
		blocked *blockedError
		dns     *net.DNSError
		op      *net.OpError
		// part of the text is replaced.
		part error
		by   string
	)
	switch {
	case errors.As(err, &blocked):
		part, by = blocked, blocked.hidden()
	case errors.As(err, &dns):
		// It names our name server, and where we asked it from.
		part, by = dns, "lookup "+dns.Name+": the name server failed"
		if dns.IsNotFound {
			by = "lookup " + dns.Name + ": no such host"
		} else if dns.IsTimeout {
			by = "lookup " + dns.Name + ": no answer of the name server in time"
		}
	}
	if errors.As(err, &op) && (by != "" || op.Source != nil) {
		if part = op; by == "" {
			by = op.Op + ": " + op.Err.Error()
		}
	}
	text := err.Error()
	if part == nil {
		return text
	}
	if before, after, found := strings.Cut(text, part.Error()); found {
		return before + by + after
	}
	return by
}
