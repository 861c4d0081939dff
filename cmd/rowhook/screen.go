package main

import (
	"io"
	"strings"
)

// screen shows one text after the other in the same place of a terminal.
type screen struct {
	w io.Writer
	// last is what is shown.
	last  string
	drawn bool
}

// draw shows a text over the one before, in one write and without clearing first, which flickers: what was longer before is cleared line
// by line, and below.
func (s *screen) draw(text string) error {
	var b strings.Builder
	if !s.drawn {
		b.WriteString("\x1b[2J")
	}
	b.WriteString("\x1b[H")
	for line := range strings.Lines(plainText(text)) {
		b.WriteString(strings.TrimSuffix(line, "\n") + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	s.drawn = true
	_, err := io.WriteString(s.w, b.String())
	return err
}

// show is draw of what is kept while nothing newer is known.
func (s *screen) show(text string) error {
	s.last = text
	return s.draw(text)
}

// without shows why nothing newer is known above what was shown last.
func (s *screen) without(reason string) error {
	if s.last == "" {
		return s.draw(reason + "\n")
	}
	return s.draw(reason + "\nthis was said last:\n\n" + s.last)
}
