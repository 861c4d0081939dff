package config

import (
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/rowhook/rowhook/internal/problem"
)

// trap is a place where YAML reads something else than its writer meant. Lines count from 0, the rest are byte offsets.
type trap struct {
	line int
	at   int
	// from and to enclose the value that single quotes would mend; to is 0 where they would not.
	from, to int
	message  string
	// hint is what to do where quotes are not it.
	hint string
}

// trapped complains of a trap.
func (d *decoder) trapped(t trap) {
	l := d.line(t.line + 1)
	t.at, t.to = min(t.at, len(l)), min(t.to, len(l))
	hint := t.hint
	if t.to > t.from {
		hint = d.quoteHintFor(t.line, l[t.from:t.to])
	}
	at := problem.Place{File: d.file, Line: t.line + 1, Column: utf8.RuneCountInString(l[:t.at]) + 1}
	d.add(at, hint, "%s", t.message)
}

// quoteHint tells to quote the value at lines[line][from:].
func (d *decoder) quoteHint(line, from int) string {
	l := d.line(line + 1)
	return d.quoteHintFor(line, l[min(from, len(l)):valueEnd(l, from)])
}

// quoteHintFor shows the value in quotes, in the mapping alone: elsewhere it may be a password.
func (d *decoder) quoteHintFor(line int, text string) string {
	const hint = "put the value in single quotes"
	for line++; line > 0; line-- {
		l := d.line(line)
		if l == "" || strings.ContainsAny(l[:1], " \t#-") {
			continue
		}
		if strings.HasPrefix(l, "resources:") {
			return hint + ": " + singleQuoted(text)
		}
		break
	}
	return hint
}

func singleQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// mend puts the values that traps are about in quotes. It is false where quotes do not mend them all.
func mend(lines []string, traps []trap) ([]string, bool) {
	if len(traps) == 0 {
		return nil, false
	}
	mended := append([]string(nil), lines...)
	sorted := append([]trap(nil), traps...)
	sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].from > sorted[j].from }) // right to left in a line
	for _, t := range sorted {
		l := mended[t.line]
		if t.to <= t.from || t.to > len(l) {
			return nil, false
		}
		mended[t.line] = l[:t.from] + singleQuoted(l[t.from:t.to]) + l[t.to:]
	}
	return mended, true
}

// trapScanner looks for traps in a file that is no YAML, so there is no tree to ask. It knows just enough of YAML to
// tell quoted, block and flow text from plain text.
type trapScanner struct {
	lines []string
	n     int
	// quote is open since quoteAt; 0: none is.
	quote   byte
	quoteAt trap
	// flow holds the open [ and {, the first at flowAt.
	flow   []byte
	flowAt trap
	// block is the indentation that a block scalar's lines exceed; noBlock outside of one.
	block int
	traps []trap
}

const noBlock = -2

// findTraps looks for what makes a file no YAML.
func findTraps(lines []string) []trap {
	s := trapScanner{lines: lines, block: noBlock}
	for s.n = range lines {
		s.scan(lines[s.n])
	}
	if s.quote != 0 {
		s.quoteAt.message = "a quote is opened here and never closed"
		s.quoteAt.hint = "close the quote; a quote inside a single-quoted value is written twice: ''"
		s.traps = append(s.traps, s.quoteAt)
	}
	return s.traps
}

func (s *trapScanner) add(t trap) {
	t.line = s.n
	s.traps = append(s.traps, t)
}

func (s *trapScanner) scan(l string) {
	i := 0
	if s.quote != 0 {
		if i = quoteEnd(l, 0, s.quote); i < 0 {
			return
		}
		s.quote = 0
		if len(s.flow) == 0 {
			return
		}
	}
	if len(s.flow) > 0 {
		s.scanFlow(l, i)
		return
	}
	indent := len(l) - len(strings.TrimLeft(l, " "))
	if s.block != noBlock {
		if indent == len(l) || indent > s.block {
			return
		}
		s.block = noBlock
	}
	switch rest := strings.TrimLeft(l, " \t"); {
	case rest == "" || rest[0] == '#' || strings.HasPrefix(l, "---") || strings.HasPrefix(l, "...") || l[0] == '%':
		return
	case l[indent] == '\t':
		s.add(trap{at: indent, message: "a tab is used for indentation", hint: "indent with spaces"})
		return
	}
	s.scanBlock(l, indent)
}

// scanBlock looks at a line outside of [ ] and { }: dashes, a key, a value.
func (s *trapScanner) scanBlock(l string, i int) {
	parent := -1
	for i < len(l) && (l[i] == '-' || l[i] == '?') && (i+1 == len(l) || l[i+1] == ' ') {
		parent = i
		i = skipBlanks(l, i+1)
	}
	for inValue := false; i < len(l); inValue = true {
		switch c := l[i]; c {
		case '#':
			return
		case '"', '\'':
			end := quoteEnd(l, i+1, c)
			if end < 0 {
				s.quote, s.quoteAt = c, trap{line: s.n, at: i}
				return
			}
			rest := skipBlanks(l, end)
			if !inValue && isColon(l, rest) {
				parent, i = i, skipBlanks(l, rest+1)
				continue
			}
			if rest < len(l) && (l[rest] != '#' || rest == end) {
				s.add(trap{at: rest, from: i, to: valueEnd(l, i), message: "text follows the quote that ends the value"})
			}
			return
		case '|', '>':
			s.block = parent
			return
		case '[', '{':
			s.flowAt = trap{line: s.n, at: i}
			s.scanFlow(l, i)
			return
		case '!':
			for i < len(l) && l[i] != ' ' {
				i++
			}
			i = skipBlanks(l, i)
			continue
		case '&', '*', '%', '@', '`':
			s.add(specialTrap(l, i))
			return
		}
		colon, hash := plainColon(l, i), commentStart(l, i)
		limit := len(l)
		if hash >= 0 {
			limit = hash
		}
		if colon >= 0 && colon < limit {
			if _, open := split(l[i:colon]); open >= 0 || inValue {
				s.add(colonTrap(s.n, l, i))
				return
			}
			parent, i = i, skipBlanks(l, colon+1)
			continue
		}
		if _, open := split(l[i:limit]); open >= 0 {
			switch {
			case hash >= 0:
				s.add(hashTrap(s.n, l, i, hash))
			case !s.continued(parent):
				s.add(trap{at: i + open, message: "${ is not closed", hint: "close it with }; write $${ for a literal ${"})
			}
		}
		return
	}
}

// continued says whether the next line goes on with this line's value, being deeper than its key.
func (s *trapScanner) continued(parent int) bool {
	if s.n+1 >= len(s.lines) {
		return false
	}
	next := s.lines[s.n+1]
	return strings.TrimSpace(next) != "" && len(next)-len(strings.TrimLeft(next, " ")) > max(parent, 0)
}

// scanFlow looks at a line from inside [ ] or { }, or from where they begin.
func (s *trapScanner) scanFlow(l string, i int) {
	for i < len(l) {
		switch c := l[i]; c {
		case ' ', '\t', ',', ':', '?':
			i++
		case '#':
			if i == 0 || l[i-1] == ' ' || l[i-1] == '\t' {
				return
			}
			i++
		case '"', '\'':
			end := quoteEnd(l, i+1, c)
			if end < 0 {
				s.quote, s.quoteAt = c, trap{line: s.n, at: i}
				return
			}
			i = end
		case '[', '{':
			s.flow = append(s.flow, c)
			i++
		case ']', '}':
			i++
			if len(s.flow) > 0 {
				s.flow = s.flow[:len(s.flow)-1]
			}
			if len(s.flow) == 0 {
				s.afterFlow(l, i)
				return
			}
		case '&', '*', '%', '@', '`':
			t := specialTrap(l, i)
			t.to = i + flowPlainEnd(l, i)
			s.add(t)
			i = t.to
		default:
			i = s.scanFlowPlain(l, i)
		}
	}
}

// scanFlowPlain looks at an unquoted value inside [ ] or { }, in which a { of its own ends it, for YAML.
func (s *trapScanner) scanFlowPlain(l string, from int) int {
	end := from + flowPlainEnd(l, from)
	open := strings.Index(l[from:end], "${")
	switch {
	case open >= 0:
		to := from + len(strings.TrimRight(l[from:end], " \t"))
		s.add(trap{at: from, from: from, to: to, message: "${…} inside [ ] or { } needs quotes: YAML takes its { for a map"})
	case end < len(l) && strings.HasPrefix(l[end:], "${"):
		s.add(trap{at: end, message: "${ is not closed", hint: "close it with }, and put the value in single quotes"})
		return len(l)
	}
	return max(end, from+1)
}

// flowPlainEnd is the length of the unquoted value at l[from:], each ${…} taken as one.
func flowPlainEnd(l string, from int) int {
	i := from
	for i < len(l) {
		switch {
		case strings.HasPrefix(l[i:], "${"):
			end := closing(l, i)
			if end < 0 || listsInside(l[i+2:end]) {
				return i - from
			}
			i = end + 1
			continue
		case strings.IndexByte(",[]{}", l[i]) >= 0:
			return i - from
		case l[i] == ':' && (i+1 == len(l) || strings.IndexByte(" ,[]{}", l[i+1]) >= 0):
			return i - from
		case l[i] == '#' && i > from && l[i-1] == ' ':
			return i - from
		}
		i++
	}
	return i - from
}

// listsInside says whether a text has a comma that no bracket of its own holds: it is no expression then, but the rest
// of a flow map whose } was taken for that of a ${ before it.
func listsInside(s string) bool {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"', '\'', '`':
			if i = stringEnd(s, i); i < 0 {
				return false
			}
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case ',':
			if depth == 0 {
				return true
			}
		}
	}
	return false
}

// afterFlow looks at what follows the ] or } that ends a value.
func (s *trapScanner) afterFlow(l string, i int) {
	rest := skipBlanks(l, i)
	if rest == len(l) || l[rest] == '#' && rest > i || isColon(l, rest) {
		return
	}
	t := trap{at: rest, message: "text follows the ] or } that ends the value"}
	if s.flowAt.line == s.n {
		at := s.flowAt.at
		t = trap{at: at, from: at, to: valueEnd(l, at), message: "a value that begins with " + l[at:at+1] + " is a YAML " +
			map[byte]string{'{': "map", '[': "list"}[l[at]]}
		// Quotes around the whole say more than quotes around each ${…} in it.
		kept := s.traps[:0]
		for _, old := range s.traps {
			if old.line != s.n || old.from < at {
				kept = append(kept, old)
			}
		}
		s.traps = kept
	} else {
		t.hint = "look for a bracket too many, or put the value in single quotes"
	}
	s.add(t)
}

// specialTrap is about a value that begins with a character that YAML keeps for itself.
func specialTrap(l string, i int) trap {
	meaning := map[byte]string{
		'&': "a YAML anchor", '*': "a YAML alias", '%': "a YAML directive",
		'@': "reserved by YAML", '`': "reserved by YAML",
	}[l[i]]
	return trap{at: i, from: i, to: valueEnd(l, i), message: "an unquoted value cannot begin with " + l[i:i+1] + ", which is " + meaning}
}

// colonTrap is about an unquoted value, at l[from:], that holds ": ".
func colonTrap(line int, l string, from int) trap {
	colon := plainColon(l, from)
	if colon < 0 {
		colon = from
	}
	t := trap{line: line, at: colon, from: from, to: valueEnd(l, from), message: `": " in an unquoted value makes a YAML key of what stands before it`}
	if _, open := split(l[from:colon]); open >= 0 {
		t.message = `": " in an unquoted ${…} makes a YAML key of what stands before it`
	}
	return t
}

// hashTrap is about an unquoted ${…}, in l[from:], that is cut at hash.
func hashTrap(line int, l string, from, hash int) trap {
	return trap{line: line, at: hash, from: from, to: valueEnd(l, from), message: `" #" in an unquoted ${…} begins a YAML comment: the rest is cut off`}
}

// valueEnd is where the unquoted value at l[from:] ends as its writer meant it: at a comment outside of any ${…}.
func valueEnd(l string, from int) int {
	i := min(from, len(l))
	for i < len(l) {
		if strings.HasPrefix(l[i:], "${") {
			if end := closing(l, i); end >= 0 {
				i = end + 1
				continue
			}
			i = len(l)
			break
		}
		if l[i] == '#' && i > from && (l[i-1] == ' ' || l[i-1] == '\t') {
			break
		}
		i++
	}
	return from + len(strings.TrimRight(l[min(from, len(l)):i], " \t"))
}

// plainColon is the index of the first colon at or after i that ends a key; -1 where there is none.
func plainColon(l string, i int) int {
	for ; i < len(l); i++ {
		if isColon(l, i) {
			return i
		}
	}
	return -1
}

func isColon(l string, i int) bool {
	return i < len(l) && l[i] == ':' && (i+1 == len(l) || l[i+1] == ' ' || l[i+1] == '\t')
}

// commentStart is the index of the # that begins a comment after the plain text at l[i:]; -1 where none does.
func commentStart(l string, i int) int {
	for i++; i < len(l); i++ {
		if l[i] == '#' && (l[i-1] == ' ' || l[i-1] == '\t') {
			return i
		}
	}
	return -1
}

// quoteEnd is the index behind the quote that ends the text at l[i:]; -1 where it goes on in the next line.
func quoteEnd(l string, i int, quote byte) int {
	for ; i < len(l); i++ {
		switch {
		case quote == '"' && l[i] == '\\':
			i++
		case l[i] == quote && quote == '\'' && i+1 < len(l) && l[i+1] == quote:
			i++
		case l[i] == quote:
			return i + 1
		}
	}
	return -1
}

func skipBlanks(l string, i int) int {
	for i < len(l) && (l[i] == ' ' || l[i] == '\t') {
		i++
	}
	return i
}
