package watch

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// errNoSecret says that nobody told the secret of a path.
var errNoSecret = errors.New("the secret is not known here")

const (
	// bodyRunes is how much of a body is shown.
	bodyRunes = 100
	// widest bounds a column.
	widest = 40

	clock = "15:04:05.000"
)

// Note prints a remark among the hooks, with the time in front.
func (w *Watcher) Note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintln(w.opts.Out, w.paint(dim, time.Now().Format(clock)+"  "+fmt.Sprintf(format, args...)))
}

// Heading prints the names of the columns.
func (w *Watcher) Heading() {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintln(w.opts.Out, w.paint(dim, fmt.Sprintf("%-12s  %-*s  %-*s  %11s  %-12s  %s",
		"time", w.widths[0], "event", w.widths[1], "instance", "from commit", "signature", "data; of an update what has changed since the last hook")))
}

func (w *Watcher) print(h Hook) {
	event, instance := h.Request.Type, h.Instance
	if instance == "" {
		instance = "-"
	}
	w.widths[0] = min(max(w.widths[0], utf8.RuneCountInString(event)), widest)
	w.widths[1] = min(max(w.widths[1], utf8.RuneCountInString(instance)), widest)
	signature := w.paint(green, "signature ok")
	switch {
	case errors.Is(h.Err, errNoSecret):
		signature = w.paint(dim, "not checked ")
	case h.Err != nil:
		signature = w.paint(red, "BAD SIGNATURE: "+h.Err.Error())
	}
	more := ""
	if h.Request.Attempt > 1 {
		more = fmt.Sprintf("  attempt %d (%s)", h.Request.Attempt, h.Request.RetryReason)
	}
	if h.Request.Path != "/hooks" {
		more += "  at " + h.Request.Path
	}
	fmt.Fprintf(w.opts.Out, "%s  %-*s  %-*s  %8.1f ms  %s%s  %s\n", w.paint(dim, h.Request.At.Format(clock)), w.widths[0], printable(event),
		w.widths[1], printable(instance), float64(h.Latency)/float64(time.Millisecond), signature, more, short(w.changed(h)))
}

// short is the beginning of a body, on one line.
func short(data []byte) string {
	if len(data) == 0 {
		return "-"
	}
	s := printable(string(data))
	if utf8.RuneCountInString(s) <= bodyRunes {
		return s
	}
	return string([]rune(s)[:bodyRunes-1]) + "…"
}

// printable keeps a row's content from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return '�'
		}
		return r
	}, s)
}

// instance is the resource and the key of a message.
func (w *Watcher) instance(m hooktest.Message) string {
	resource, _, ok := strings.Cut(m.Type, ".")
	if !ok {
		return ""
	}
	keys := w.opts.Keys[resource]
	if len(keys) == 0 {
		return m.Instance()
	}
	var data map[string]json.RawMessage
	if json.Unmarshal(m.Data, &data) != nil {
		return ""
	}
	parts := make([]string, len(keys))
	for i, k := range keys {
		v, ok := data[k]
		if !ok {
			return ""
		}
		parts[i] = strings.Trim(string(v), `"`)
	}
	return resource + "/" + strings.Join(parts, ",")
}

// The colours, as ECMA-48 has them.
const (
	dim   = "2"
	red   = "31"
	green = "32"
)

func (w *Watcher) paint(color, s string) string {
	if !w.opts.Color {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}
