package listen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Output says where and how it is shown.
type Output struct {
	// Out gets the events, Notes all else that is to be told.
	Out, Notes io.Writer
	// JSON makes each event a line of JSON. Color is for text.
	JSON, Color bool
}

// printer shows hooks. Its methods may be called from any goroutine.
type printer struct {
	Output
	mu sync.Mutex
}

// The colours, as ECMA-48 has them.
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
)

const (
	clock = "15:04:05.000"
	// shownData bounds the text of data, and shownValue that of a value that has changed, in bytes.
	shownData  = 4 << 10
	shownValue = 200
)

func (p *printer) paint(color, s string) string {
	if !p.Color {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// note tells something that is no event.
func (p *printer) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.Notes, printable(fmt.Sprintf(format, args...)))
}

// begin shows an event, before it is sent on.
func (p *printer) begin(h *hook) {
	if p.JSON {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	parts := []string{p.paint(dim, h.arrived.Format(clock)), p.paint(bold, printable(h.Type))}
	if h.Instance != "" {
		parts = append(parts, printable(h.Instance))
	}
	if h.AgeMS != nil {
		parts = append(parts, (time.Duration(*h.AgeMS)*time.Millisecond).String()+" after the commit")
	}
	switch h.Signature {
	case signatureOK:
		parts = append(parts, p.paint(green, "signature ok"))
	case signatureNone:
		parts = append(parts, p.paint(dim, "not signed"))
	case signatureUnchecked:
		parts = append(parts, p.paint(dim, "signature not checked"))
	case signatureBad:
		parts = append(parts, p.paint(red, "BAD SIGNATURE: "+printable(h.Problem)))
	}
	if h.Attempt > 1 {
		parts = append(parts, fmt.Sprintf("attempt %d", h.Attempt))
	}
	for _, c := range []struct {
		is   bool
		text string
	}{{h.Replay, "again"}, {h.Duplicate, "DUPLICATE"}, {h.OutOfOrder, "OUT OF ORDER"}} {
		if c.is {
			parts = append(parts, c.text)
		}
	}
	parts = append(parts, p.paint(dim, printable(h.ID)))
	fmt.Fprintln(p.Out, strings.Join(parts, "  "))
	if h.Signature == "" {
		fmt.Fprintln(p.Out, "  "+p.paint(red, "no request: "+printable(h.Problem)))
	}
	for _, c := range h.Changes {
		fmt.Fprintf(p.Out, "  %s %s: %s → %s\n", p.paint(green, "~"), printable(c.Path), value(c.From), value(c.To))
	}
	if text := data(h.Data); text != "" {
		fmt.Fprintln(p.Out, "  "+text)
	}
}

// answered shows how an attempt to send it on has ended.
func (p *printer) answered(to string, a answer) {
	if p.JSON {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	text, color := a.Error, red
	if a.Status != 0 {
		text = strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status)))
	}
	if a.delivered() {
		color = green
	}
	line := "  → " + p.paint(color, printable(text))
	if to != "" {
		line = fmt.Sprintf("  → %s  %s in %s", printable(to), p.paint(color, printable(text)), time.Duration(a.TookMS)*time.Millisecond)
	}
	if a.Attempt > 1 {
		line += fmt.Sprintf(", attempt %d", a.Attempt)
	}
	if a.Body != "" {
		line += "  " + cut(printable(strings.Join(strings.Fields(a.Body), " ")), shownValue)
	}
	fmt.Fprintln(p.Out, line)
}

// end ends an event.
func (p *printer) end(h *hook) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.JSON {
		fmt.Fprintln(p.Out)
		return
	}
	line, err := json.Marshal(h)
	if err != nil {
		fmt.Fprintf(p.Notes, "an event cannot be shown as JSON: %s\n", printable(h.ID))
		return
	}
	_, _ = p.Out.Write(append(line, '\n'))
}

// sum shows what came.
func (p *printer) sum(s Summary) {
	text := "1 event"
	if s.Seen != 1 {
		text = fmt.Sprintf("%d events", s.Seen)
	}
	for _, c := range []struct {
		n    int
		what string
	}{{s.Failed, "failed"}, {s.Duplicates, "came again"}, {s.OutOfOrder, "out of order"}} {
		text += fmt.Sprintf(", %d %s", c.n, c.what)
	}
	p.note("%s", text)
}

// value is one that has changed, on one line.
func value(raw json.RawMessage) string {
	if raw == nil {
		return "(nothing)"
	}
	return cut(printable(string(raw)), shownValue)
}

// data is a JSON value with line breaks.
func data(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	var out bytes.Buffer
	if json.Indent(&out, raw, "  ", "  ") != nil {
		return cut(printable(string(raw)), shownData)
	}
	return cut(printable(out.String()), shownData)
}

// cut bounds a text.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	end := most
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + fmt.Sprintf("… (%d bytes; --output json has all)", len(s))
}

// printable keeps what rows and answers hold from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
