package scaffold

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
)

// width is how long lines of comments may be.
const width = 118

// document writes YAML with its comments. A line that is off is a proposal: it stands behind a # without a blank, so that
// taking the # away makes it part of the file.
type document struct {
	b strings.Builder
	// off is where the # of what is written stands, -1 where it is not off.
	off int
}

// line writes one line, and a remark behind it. A remark that is too long for that stands before it.
func (d *document) line(indent int, text, note string) {
	if note = clean(note); note != "" && indent+len(text)+len(note) > width+20 && d.off < 0 {
		d.prose(indent, note)
		note = ""
	}
	if note != "" {
		text += "  # " + note
	}
	d.write(indent, text)
}

func (d *document) write(indent int, text string) {
	if d.off >= 0 {
		d.b.WriteString(strings.Repeat(" ", d.off) + "#" + strings.Repeat(" ", indent-d.off))
	} else {
		d.b.WriteString(strings.Repeat(" ", indent))
	}
	d.b.WriteString(text + "\n")
}

// prose writes a comment, over as many lines as it takes.
func (d *document) prose(indent int, text string) {
	line := ""
	flush := func() {
		if line != "" {
			d.write(indent, "#"+line)
		}
		line = ""
	}
	for word := range strings.FieldsSeq(clean(text)) {
		if line != "" && indent+len(line)+1+len(word) > width {
			flush()
		}
		line += " " + word
	}
	flush()
}

// proposed writes what f writes as a proposal.
func (d *document) proposed(indent int, yes bool, f func()) {
	if !yes || d.off >= 0 {
		f()
		return
	}
	d.off = indent
	f()
	d.off = -1
}

// clean is a text as it can stand in a comment: in one line, without what YAML does not allow, and bounded.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	const most = 600
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + " …"
	}
	return s
}

var (
	plainWord  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	plainValue = regexp.MustCompile(`^(\$\{[A-Za-z_][A-Za-z0-9_]*\}|/[A-Za-z0-9_./~-]*|[A-Za-z_][A-Za-z0-9_.]*( != null| == "[a-z_]+")?|/[A-Za-z0-9_./~${}-]+)$`)
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// otherwise are words that YAML, of one version or another, takes for something else than text.
var otherwise = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

// scalar writes text as a YAML value, or key: plain where everybody reads it as that.
func scalar(s string) string {
	var n yaml.Node
	if (plainWord.MatchString(s) || plainValue.MatchString(s)) && !slices.Contains(otherwise, strings.ToLower(s)) &&
		yaml.Unmarshal([]byte(s), &n) == nil && len(n.Content) == 1 && n.Content[0].ShortTag() == "!!str" && n.Content[0].Value == s {
		return s
	}
	return quoted(s)
}

// quoted writes text in quotes, as everything with ${…} is within [ ] and { }.
func quoted(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// flow is a list in one line.
func flow(items []string) string {
	out := make([]string, len(items))
	for i, s := range items {
		out[i] = scalar(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// reserved are words of expressions that a column cannot be called by.
var reserved = []string{"old", "api", "null", "nil", "true", "false", "and", "or", "not", "in", "matches", "contains",
	"startsWith", "endsWith", "let", "if", "else"}

// column is a column in an expression.
func column(name string) string {
	if identifier.MatchString(name) && !slices.Contains(reserved, name) {
		return name
	}
	return "$env[" + strconv.Quote(name) + "]"
}

// valueOf is the template of one expression.
func valueOf(expression string) string { return "${" + expression + "}" }

// literal is text that holds no expression.
func literal(s string) string { return strings.ReplaceAll(s, "${", "$${") }

var lowerWord = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// tableText is a table as the config names it.
func tableText(t cdc.TableName) string {
	word := func(s string) string {
		if lowerWord.MatchString(s) {
			return s
		}
		return cdc.QuoteIdent(s)
	}
	if t.Schema == "public" {
		return literal(word(t.Name))
	}
	return literal(word(t.Schema) + "." + word(t.Name))
}
