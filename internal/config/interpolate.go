package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/problem"
)

// part is a piece of a scalar: literal text, a reference (${env:…}, ${file:…}) or an expression (any other ${…}).
type part struct {
	kind partKind
	// text of a literal has $${ already read as ${; that of the others is what stands between the braces.
	text string
	// nth counts the ${ of the scalar, escaped ones and those inside expressions included: the place in the file is
	// found by it.
	nth int
}

type partKind int

const (
	literalPart partKind = iota
	referencePart
	expressionPart
)

// split cuts a scalar into parts. Open is the index of a ${ that is not closed, or -1.
func split(s string) (parts []part, open int) {
	var literal strings.Builder
	nth, i := 0, 0
	flush := func() {
		if literal.Len() > 0 {
			parts = append(parts, part{kind: literalPart, text: literal.String()})
			literal.Reset()
		}
	}
	for i < len(s) {
		switch {
		case strings.HasPrefix(s[i:], "$${"):
			literal.WriteString("${")
			i += len("$${")
			nth++
		case strings.HasPrefix(s[i:], "${"):
			end := closing(s, i)
			if end < 0 {
				return parts, i
			}
			flush()
			p := part{kind: expressionPart, text: s[i+2 : end], nth: nth}
			if isReference(s[i:]) {
				p.kind = referencePart
			}
			parts = append(parts, p)
			nth += strings.Count(s[i:end], "${")
			i = end + 1
		default:
			literal.WriteByte(s[i])
			i++
		}
	}
	flush()
	return parts, -1
}

// closing is the index of the } that closes the ${ at s[open:], or -1. A } inside a string or comment of the expression,
// and one of an inner { }, does not close. Package mapping looks for the end in the same way.
func closing(s string, open int) int {
	if isReference(s[open:]) {
		if n := strings.IndexByte(s[open:], '}'); n >= 0 {
			return open + n
		}
		return -1
	}
	depth := 0
	for i := open + 2; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\'', '`':
			end := stringEnd(s, i)
			if end < 0 {
				return -1
			}
			i = end
		case '/':
			if end := commentEnd(s, i); end > len(s) {
				return -1
			} else if end > i {
				i = end - 1
			}
		case '$':
			if isReference(s[i:]) {
				end := closing(s, i)
				if end < 0 {
					return -1
				}
				i = end
			}
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}

// commentEnd is the index behind the comment of an expression at s[i:], i where there is none, and more than len(s) where
// it never ends.
func commentEnd(s string, i int) int {
	for _, c := range []struct{ open, close string }{{"//", "\n"}, {"/*", "*/"}} {
		if !strings.HasPrefix(s[i:], c.open) {
			continue
		}
		n := strings.Index(s[i+2:], c.close)
		if n < 0 {
			return len(s) + 1
		}
		return i + 2 + n + len(c.close)
	}
	return i
}

// stringEnd is the index of the quote that ends the string of an expression that begins at s[i], or -1.
func stringEnd(s string, i int) int {
	quote := s[i]
	for i++; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quote != '`':
			i++
		case s[i] == quote:
			return i
		}
	}
	return -1
}

func isReference(s string) bool {
	return strings.HasPrefix(s, "${env:") || strings.HasPrefix(s, "${file:")
}

// resolveValue is the text of a scalar that holds a value, not an expression. Referred says that some of it came from
// elsewhere.
func (d *decoder) resolveValue(v value, secret bool) (out string, referred, ok bool) {
	parts, open := split(v.node.Value)
	if open >= 0 {
		return "", false, false // told where the tree was vetted
	}
	var b strings.Builder
	ok = true
	for _, p := range parts {
		switch p.kind {
		case literalPart:
			b.WriteString(p.text)
		case referencePart:
			referred = true
			got, fine := d.resolve(v.node, p)
			b.WriteString(got)
			ok = ok && fine
		case expressionPart:
			ok = false
			hint := "only ${env:NAME} and ${file:PATH} work here; write $${ for a literal ${"
			if variable.MatchString(p.text) && strings.ToUpper(p.text) == p.text {
				hint = fmt.Sprintf("for the environment variable write ${env:%s}", p.text)
			}
			told := p.text
			if secret {
				told = "…"
			}
			d.add(d.nthPlace(v.node, p.nth), hint, "%s: ${%s} is an expression, and this key takes a value", v.path, told)
		}
	}
	return b.String(), referred, ok
}

// resolveTemplate replaces the references of a scalar whose other ${…} are expressions. What comes from elsewhere can
// never become an expression, or change whether its neighbours are.
func (d *decoder) resolveTemplate(n *yaml.Node) (out string, referred, ok bool) {
	parts, open := split(n.Value)
	if open >= 0 {
		return n.Value, false, false
	}
	ok = true
	var merged []part // neighbouring literals in one: a ${ may come about where they meet
	literal := func(s string) {
		if k := len(merged) - 1; k >= 0 && merged[k].kind == literalPart {
			merged[k].text += s
			return
		}
		merged = append(merged, part{kind: literalPart, text: s})
	}
	for _, p := range parts {
		switch p.kind {
		case literalPart:
			literal(p.text)
		case referencePart:
			got, fine := d.resolve(n, p)
			literal(got)
			referred, ok = true, ok && fine
		case expressionPart:
			inner, changed, fine := d.resolveExpression(n, p.text, p.nth+1)
			p.text = inner
			merged = append(merged, p)
			referred, ok = referred || changed, ok && fine
		}
	}
	if !referred || !ok {
		return n.Value, false, ok
	}
	return joinTemplate(merged), true, true
}

// joinTemplate writes parts as a template that is read back as just these parts.
func joinTemplate(parts []part) string {
	var b strings.Builder
	for i, p := range parts {
		before := i+1 < len(parts) && parts[i+1].kind == expressionPart
		switch {
		case p.kind == expressionPart:
			b.WriteString("${" + p.text + "}")
		case p.text == "" && len(parts) > 1:
			// Text around an expression makes a string of it, also where the variable that gives the text is empty.
			b.WriteString(`${""}`)
		case before && strings.HasSuffix(p.text, "$"):
			text := strings.TrimRight(p.text, "$")
			b.WriteString(strings.ReplaceAll(text, "${", "$${"))
			b.WriteString(`${"` + p.text[len(text):] + `"}`) // a bare $ would escape the ${ that follows
		default:
			b.WriteString(strings.ReplaceAll(p.text, "${", "$${"))
		}
	}
	return b.String()
}

// resolveExpression replaces the references in an expression by string literals. Nth is the number of the first ${.
func (d *decoder) resolveExpression(n *yaml.Node, s string, nth int) (out string, referred, ok bool) {
	ok = true
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\'' || c == '`':
			end := stringEnd(s, i)
			if end < 0 {
				end = len(s) - 1
			}
			word := s[i : end+1]
			if k := firstReference(word); k >= 0 {
				ok = false
				d.add(d.nthPlace(n, nth+strings.Count(word[:k], "${")),
					`write it outside of the quotes, joined by +: "…" + ${env:NAME}`,
					"%s… stands inside a string of an expression, where it is not replaced", word[k:k+strings.IndexByte(word[k:], ':')+1])
			}
			nth += strings.Count(word, "${")
			b.WriteString(word)
			i = end
		case c == '/' && commentEnd(s, i) > i:
			end := min(commentEnd(s, i), len(s))
			nth += strings.Count(s[i:end], "${") // nothing is replaced there: it might end the comment
			b.WriteString(s[i:end])
			i = end - 1
		case isReference(s[i:]):
			end := closing(s, i)
			if end < 0 {
				return s, false, false // told where the tree was vetted
			}
			got, fine := d.resolve(n, part{kind: referencePart, text: s[i+2 : end], nth: nth})
			b.WriteString(quoteExpression(got))
			referred, ok = true, ok && fine
			nth++
			i = end
		default:
			if strings.HasPrefix(s[i:], "${") {
				nth++
			}
			b.WriteByte(c)
		}
	}
	return b.String(), referred, ok
}

func firstReference(s string) int {
	for i := range len(s) {
		if isReference(s[i:]) {
			return i
		}
	}
	return -1
}

// quoteExpression writes a string literal of the expression language. Braces and dollars are escaped too, so that nobody
// who looks for the end of a ${…} can be misled by them.
func quoteExpression(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f || strings.ContainsRune("${}`'", r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// resolve is what a reference stands for.
func (d *decoder) resolve(n *yaml.Node, p part) (string, bool) {
	if name, isEnv := strings.CutPrefix(p.text, "env:"); isEnv {
		return d.resolveEnv(n, p, name)
	}
	return d.resolveFile(n, p, strings.TrimPrefix(p.text, "file:"))
}

func (d *decoder) resolveEnv(n *yaml.Node, p part, name string) (string, bool) {
	name, fallback, hasFallback := strings.Cut(name, ":-")
	at := d.nthPlace(n, p.nth)
	switch {
	case !variable.MatchString(name):
		d.add(at, "write ${env:NAME} or ${env:NAME:-default}", "%q does not name an environment variable", name)
		return "", false
	case strings.Contains(fallback, "${"):
		d.add(at, "set the variable, or write a plain default", "the default of ${env:%s:-…} holds another ${", name)
		return "", false
	}
	got, set := d.env(name)
	switch {
	case hasFallback && got == "":
		return fallback, true // as in a shell: :- stands in for an empty variable too
	case !set:
		d.add(at, fmt.Sprintf("set it, or give a default: ${env:%s:-…}", name), "the environment variable %s is not set", name)
		return "", false
	}
	return got, d.clean(at, got, "the environment variable "+name)
}

func (d *decoder) resolveFile(n *yaml.Node, p part, path string) (string, bool) {
	at := d.nthPlace(n, p.nth)
	if path == "" || strings.ContainsRune(path, 0) {
		d.add(at, "write ${file:PATH}", "${file:…} does not name a file")
		return "", false
	}
	full := path
	if !filepath.IsAbs(full) {
		full = filepath.Join(filepath.Dir(d.file), full)
	}
	data, err := d.readFile(full)
	if err != nil {
		hint := ""
		if full != path {
			hint = fmt.Sprintf("it was looked for at %s", full)
		}
		d.add(at, hint, "the file %q %s", path, reasonOf(err))
		return "", false
	}
	got := string(data)
	if cut, ok := strings.CutSuffix(got, "\n"); ok {
		got = strings.TrimSuffix(cut, "\r")
	}
	return got, d.clean(at, got, fmt.Sprintf("the file %q", path))
}

// clean refuses what no value, name or expression can hold.
func (d *decoder) clean(at problem.Place, got, from string) bool {
	if utf8.ValidString(got) && !strings.ContainsRune(got, 0) {
		return true
	}
	d.add(at, "", "%s does not hold text (UTF-8)", from)
	return false
}

// nthPlace is the place of the nth ${ of a scalar, counted from 0: found in the source, as escapes and folded lines make
// the value's own offsets useless.
func (d *decoder) nthPlace(n *yaml.Node, nth int) problem.Place {
	at := d.textPlace(n)
	for line := at.Line - 1; line >= 0 && line < len(d.lines); line++ {
		l, from := d.lines[line], 0
		if line == at.Line-1 {
			from = byteOffset(l, at.Column)
		}
		for {
			k := strings.Index(l[from:], "${")
			if k < 0 {
				break
			}
			from += k
			if nth == 0 {
				return problem.Place{File: d.file, Line: line + 1, Column: utf8.RuneCountInString(l[:from]) + 1}
			}
			nth--
			from += len("${")
		}
	}
	return at
}

// byteOffset is the index of a column, which counts characters from 1, in a line.
func byteOffset(line string, column int) int {
	for i := range line {
		if column--; column == 0 {
			return i
		}
	}
	return len(line)
}
