package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress shows how far something is: as a bar in a terminal, else as a line now and then.
type progress struct {
	w     io.Writer
	bar   bool
	began time.Time
	// first is what had been done when it was shown first. last is what was printed, and when.
	first  int64
	last   string
	lastAt time.Time
	now    func() time.Time
}

const (
	barWidth = 30
	// lineEvery is how often a line is written where there is no terminal.
	lineEvery = 5 * time.Second
)

func newProgress(w io.Writer) *progress {
	return &progress{w: w, bar: isTerminal(w), now: time.Now}
}

// isTerminal says whether lines can be written over.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// show tells how much is done. Total is nil where it is not known.
func (p *progress) show(state string, done int64, total *int64) {
	now := p.now()
	if p.began.IsZero() {
		p.began, p.first = now, done
	}
	text := fmt.Sprintf("%s: %d", state, done)
	if total != nil {
		text += fmt.Sprintf(" of %d", *total)
		if *total > 0 {
			share := min(float64(done)/float64(*total), 1)
			if p.bar {
				full := int(share * barWidth)
				text = "[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "] " + text
			}
			text += fmt.Sprintf(", %d%%", int(100*share))
		}
		if gone, made := now.Sub(p.began), done-p.first; made > 0 && done < *total && gone >= time.Second {
			left := time.Duration(float64(gone) * float64(*total-done) / float64(made))
			text += fmt.Sprintf(", about %s left", max(left.Round(time.Second), time.Second))
		}
	}
	if text == p.last {
		return
	}
	switch {
	case p.bar:
		fmt.Fprintf(p.w, "\r%s%s", text, strings.Repeat(" ", max(len(p.last)-len(text), 0)))
	case p.last == "" || now.Sub(p.lastAt) >= lineEvery:
		fmt.Fprintln(p.w, text)
	default:
		return
	}
	p.last, p.lastAt = text, now
}

// end leaves what was shown last, and goes to a new line. It may be called twice.
func (p *progress) end() {
	if p.bar && p.last != "" {
		fmt.Fprintln(p.w)
	}
	p.bar, p.last = false, ""
}
