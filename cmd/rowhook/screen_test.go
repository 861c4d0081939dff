package main

import (
	"strings"
	"testing"
)

// terminal is as much of one as a screen needs: so many columns, lines that go on in the next row, and the sequences that it writes.
type terminal struct {
	columns, row, column int
	rows                 [40][]byte
	clears               int
}

func (t *terminal) Write(b []byte) (int, error) {
	for rest := string(b); rest != ""; {
		switch {
		case strings.HasPrefix(rest, "\x1b[2J"):
			t.rows, rest = [40][]byte{}, rest[4:]
			t.clears++
		case strings.HasPrefix(rest, "\x1b[H"):
			t.row, t.column, rest = 0, 0, rest[3:]
		case strings.HasPrefix(rest, "\x1b[K"):
			t.cut()
			rest = rest[3:]
		case strings.HasPrefix(rest, "\x1b[J"):
			t.cut()
			for i := t.row + 1; i < len(t.rows); i++ {
				t.rows[i] = nil
			}
			rest = rest[3:]
		case rest[0] == '\n':
			t.row, t.column, rest = t.row+1, 0, rest[1:]
		default:
			if t.column == t.columns {
				t.row, t.column = t.row+1, 0
			}
			for len(t.rows[t.row]) <= t.column {
				t.rows[t.row] = append(t.rows[t.row], ' ')
			}
			t.rows[t.row][t.column] = rest[0]
			t.column, rest = t.column+1, rest[1:]
		}
	}
	return len(b), nil
}

func (t *terminal) cut() { t.rows[t.row] = t.rows[t.row][:min(t.column, len(t.rows[t.row]))] }

func (t *terminal) String() string {
	var lines []string
	for _, row := range t.rows {
		lines = append(lines, string(row))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
}

// TestScreen: a text leaves nothing of the one before, however long that was; the terminal is cleared once; and what was said last stays
// while nothing newer is known.
func TestScreen(t *testing.T) {
	t.Parallel()
	on := &terminal{columns: 60}
	s := &screen{w: on}
	long := "waiting\n" + strings.Repeat("a long line that does not fit ", 5) + "\nerror: x\n"
	wrapped := "waiting\n" + strings.Repeat("a long line that does not fit a long line that does not fit \n", 2) + "a long line that does not fit \nerror: x\n"
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return s.without("not reached") }, "not reached\n"},
		{func() error { return s.show(long) }, wrapped},
		{func() error { return s.show("well\x07\nnothing is wrong\n") }, "well\xef\xbf\xbd\nnothing is wrong\n"},
		{func() error { return s.without("no answer") }, "no answer\nthis was said last:\n\nwell\xef\xbf\xbd\nnothing is wrong\n"},
		{func() error { return s.without("no answer") }, "no answer\nthis was said last:\n\nwell\xef\xbf\xbd\nnothing is wrong\n"},
		{func() error { return s.show("again\n") }, "again\n"},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if on.String() != step.want {
			t.Errorf("it shows\n%q, want\n%q", on, step.want)
		}
	}
	if on.clears != 1 {
		t.Errorf("it was cleared %d times", on.clears)
	}
}
