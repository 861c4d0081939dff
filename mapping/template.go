package mapping

import (
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/problem"
)

// segment is a part of a template: text as it is, or an expression.
type segment struct {
	text string
	expr bool
	// offset is where text begins in the template, in bytes. It is exact for expressions only.
	offset int
}

// templateError is a mistake in the syntax of ${…}, at a byte offset.
type templateError struct {
	offset  int
	message string
	hint    string
}

// scanTemplate splits a scalar into text and expressions. It finds the end of an expression as the expression's own
// lexer would, because a } may stand in a string or close a map.
func scanTemplate(s string) ([]segment, *templateError) {
	var segments []segment
	var text strings.Builder
	flush := func(offset int) {
		if text.Len() > 0 {
			segments = append(segments, segment{text: text.String(), offset: offset})
			text.Reset()
		}
	}
	textAt := 0
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "$${"):
			text.WriteString("${")
			i += 3
		case strings.HasPrefix(s[i:], "${"):
			flush(textAt)
			end, open := expressionEnd(s, i+2)
			if end < 0 {
				if open != 0 {
					return nil, &templateError{i, "a string in ${…} is not closed", "close it with " + string(rune(open))}
				}
				return nil, &templateError{i, "${ is not closed",
					"close it with }, and put the value in single quotes where it holds # or : ; a literal ${ is written $${"}
			}
			body := s[i+2 : end]
			trimmed := strings.TrimSpace(body)
			if trimmed == "" {
				return nil, &templateError{i, "${} is empty", "name a column, as in ${id}"}
			}
			segments = append(segments, segment{text: trimmed, expr: true, offset: i + 2 + strings.Index(body, trimmed)})
			i = end + 1
			textAt = i
		default:
			text.WriteByte(s[i])
			i++
		}
	}
	flush(textAt)
	return segments, nil
}

// expressionEnd is the index of the } that closes the expression beginning at i, or -1. Open is then the quote of a
// string that is not closed.
func expressionEnd(s string, i int) (end int, open byte) {
	depth := 0
	for i < len(s) {
		switch c := s[i]; c {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i, 0
			}
			depth--
		case '"', '\'':
			i++
			for i < len(s) && s[i] != c {
				if s[i] == '\\' {
					i++
				}
				i++
			}
			if i >= len(s) {
				return -1, c
			}
		case '`':
			// A doubled backtick stands for one and reads here as a string that ends and another that begins.
			n := strings.IndexByte(s[i+1:], '`')
			if n < 0 {
				return -1, c
			}
			i += n + 1
		case '/':
			switch {
			case strings.HasPrefix(s[i:], "//"):
				n := strings.IndexByte(s[i:], '\n')
				if n < 0 {
					return -1, 0
				}
				i += n
			case strings.HasPrefix(s[i:], "/*"):
				n := strings.Index(s[i+2:], "*/")
				if n < 0 {
					return -1, 0
				}
				i += n + 3
			}
		}
		i++
	}
	return -1, 0
}

// source is the text of an expression or template and where in the file it stands.
type source struct {
	text  string
	at    problem.Place
	style yaml.Style
}

// place is where the byte at offset stands, as exactly as the YAML node tells: in plain and quoted scalars on one line
// to the column, in literal blocks to the line.
func (s source) place(offset int) problem.Place {
	offset = min(max(offset, 0), len(s.text))
	before := s.text[:offset]
	switch {
	case s.style&yaml.LiteralStyle != 0:
		at := s.at
		at.Line += 1 + strings.Count(before, "\n")
		at.Column = 0
		return at
	case s.style&yaml.FoldedStyle != 0, strings.Contains(before, "\n"):
		return s.at
	case s.style&yaml.DoubleQuotedStyle != 0:
		// Quotes and backslashes must be escaped here, so that each takes two columns.
		return s.at.At(1 + utf8.RuneCountInString(before) + strings.Count(before, `"`) + strings.Count(before, `\`))
	case s.style&yaml.SingleQuotedStyle != 0:
		return s.at.At(1 + utf8.RuneCountInString(before) + strings.Count(before, `'`))
	}
	return s.at.At(utf8.RuneCountInString(before))
}
