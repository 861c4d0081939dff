package app

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/coalesce"
)

var things = &cdc.Relation{OID: 1, Table: cdc.TableName{Schema: "public", Name: "things"}, Key: []int{0},
	Columns: []cdc.Column{{Name: "id", Type: &cdc.Type{OID: 23}, Identity: true}}}

// listener hears batches and hands them on to a Stage, as the handler does.
type listener struct {
	*testing.T
	spoken
	stage coalesce.Stage
	log   bytes.Buffer
	now   time.Time
	lsn   cdc.LSN
	tx    *cdc.Tx
	// ordinal and block are those of the next change.
	ordinal, block uint32
	batch          cdc.Batch
	// out are the changes that would be mapped, with their contexts; muted counts the others.
	out   []string
	muted int
}

func newListener(t *testing.T) *listener {
	l := &listener{T: t, now: time.Now()}
	log := slog.New(slog.NewTextHandler(&l.log, nil))
	l.spoken = spoken{log: log, mutes: &mutes{log: log}}
	l.stage.Wanted = func(*cdc.Change) coalesce.Wanted { return coalesce.Wanted{Net: true} }
	l.stage.Holds = func(*cdc.Change) bool { return true }
	return l
}

// do adds what is done to the batch: "begin", a number (that row is made or changed), "|" (the batch ends), "block" (a block
// ends), "commit", or a message.
func (l *listener) do(steps ...string) *listener {
	for _, s := range steps {
		switch {
		case s == "begin":
			l.lsn += 100
			l.tx, l.ordinal, l.block = &cdc.Tx{Commit: l.lsn, XID: uint32(l.lsn)}, 0, 0
		case s == "block":
			l.block++
		case s == "|":
			n := len(l.batch.Changes)
			l.flush(n > 0 && l.batch.Changes[n-1].Tx == l.tx && l.batch.Changes[n-1].Block == l.block)
		case s == "commit":
			l.tx = nil
			l.flush(false)
		default:
			l.ordinal++
			c := cdc.Change{Op: cdc.Update, Tx: l.tx, Ordinal: l.ordinal, Block: l.block, Relation: things, New: cdc.Row{{Kind: cdc.Text, Data: []byte(s)}}}
			if s[0] == '{' || s[0] == '!' {
				c = cdc.Change{Op: cdc.Message, Tx: l.tx, Ordinal: l.ordinal, Block: l.block, Prefix: messagePrefix, Content: []byte(s)}
			}
			l.batch.Changes = append(l.batch.Changes, c)
		}
	}
	return l
}

// flush hands the batch over.
func (l *listener) flush(open bool) {
	l.batch.Epoch, l.batch.Open = 1, open
	b := l.batch
	l.batch = cdc.Batch{}
	l.muted += l.hear(&b)
	l.stage.Put(&b)
	for part := l.stage.Next(); part != nil; part = l.stage.Next() {
		for i := range part.Changes {
			if c := &part.Changes[i]; c.Op != cdc.Message {
				said, _ := l.context(c)
				l.out = append(l.out, string(c.New[0].Data)+string(said))
			}
		}
	}
	l.settle(l.stage.Holding())
}

func (l *listener) want(muted int, out string, told ...string) {
	l.Helper()
	l.mutes.look(l.now, true)
	if got := strings.Join(l.out, " "); got != out || l.muted != muted {
		l.Errorf("mapped %q, muted %d, want %q and %d", got, l.muted, out, muted)
	}
	if n := strings.Count(l.log.String(), "\n"); n != len(told) {
		l.Errorf("%d lines in the log, want %d", n, len(told))
	}
	for _, line := range told {
		if !strings.Contains(l.log.String(), line) {
			l.Errorf("the log lacks %s", line)
		}
	}
	if l.Failed() {
		l.Logf("the log:\n%s", l.log.String())
	}
}

const mute = `{"mute": true}`

func TestSpoken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*listener){
		"Nothing": func(l *listener) { l.do("begin", "1", "2", "commit").want(0, "1 2") },
		"MuteEndsWithItsTransaction": func(l *listener) {
			l.do("begin", "1", "commit", "begin", mute, "2", "3", "commit", "begin", "4", "commit")
			l.want(2, "1 4", "xid=200 position=0000000100000000000000c80000000200000000 changes=2")
		},
		"MuteInOneBatchWithOthers": func(l *listener) {
			l.do("begin", "1", "2").do("begin", mute, "3", "4").do("begin", "5").do("begin", mute, "6", "commit")
			l.want(3, "1 2 5", "xid=200", "xid=400")
		},
		"MuteOverBatchesAndBlocks": func(l *listener) {
			l.do("begin", "1", "|", "2", "commit", "begin", mute, "|", "3", "|", "4", "block", "|", "5", "|", "block", "6", "commit", "begin", "7", "commit")
			l.want(4, "1 2 7", "xid=200 position=0000000100000000000000c80000000200000000 changes=4")
		},
		// The end of the block that is held comes with the muted transaction's first batch.
		"MuteBehindAHeldBlock": func(l *listener) {
			l.do("begin", "1", "|", "2", "|").do("begin", mute, "3", "|", "4", "commit", "begin", "5", "commit")
			l.want(2, "1 2 5", "changes=2")
		},
		"MuteThatComesAgain": func(l *listener) {
			l.do("begin", mute, "1", "2", "|", "3", "|")
			l.reset()
			l.stage.Reset()
			l.lsn -= 100
			l.do("begin", mute, "1", "2", "|", "3", "4", "commit", "begin", "5", "commit")
			l.want(7, "5", "xid=100 position=0000000100000000000000640000000200000000 changes=4")
		},
		"MuteBehindOtherMessages": func(l *listener) { l.do("begin", `{"source":"x"}`, mute, "1", "commit").want(1, "", "changes=1") },
		"MuteTakenBackInTime":     func(l *listener) { l.do("begin", mute, `{"mute":false}`, "1", "commit").want(0, "1") },
		"MuteTooLate": func(l *listener) {
			l.do("begin", "1", "2", mute, "2", "3", "commit")
			l.want(0, "1 2 3", `position=0000000100000000000000640000000300000000`)
		},
		"MuteTakenBackTooLate": func(l *listener) {
			l.do("begin", mute, "1", `{"mute":false}`, mute, "2", "commit").want(2, "", "behind changes", "changes=2")
		},
		"MuteAndContext": func(l *listener) {
			l.do("begin", `{"mute":true,"source":"x"}`, "1", "commit", "begin", "2", "commit").want(1, "2", "changes=1")
		},
		"MuteTooLateWithContext": func(l *listener) {
			l.do("begin", "1", `{"mute":true,"source":"x"}`, "2", "commit").want(0, `1 2{"source":"x"}`, "mute is left out")
		},
		"ContextEndsWithItsTransaction": func(l *listener) {
			l.do("begin", `{"a": 1}`, "1", "2", "commit", "begin", "3", "commit").want(0, `1{"a":1} 2{"a":1} 3`)
		},
		// An event has that of its instance's last change, wherever the batches end.
		"ContextsInOneBlock": func(l *listener) {
			l.do("begin", "1", "2", `{"a":1}`, "2", "3", `{"b":2}`, `{"c":3}`, "3", "4", "{}", "5", "commit").
				want(0, `1 2{"a":1} 3{"c":3} 4{"c":3} 5`)
		},
		"ContextsInAHeldBlock": func(l *listener) {
			l.do("begin", "1", "|", `{"a":1}`, "|", "2", "|", `{"b":2}`, "3", "|", "4", "block", "5", "|", "6", `{"c":3}`, "block", "7", "|", "8", "commit").
				want(0, `1 2{"a":1} 3{"b":2} 4{"b":2} 5{"b":2} 6{"b":2} 7{"c":3} 8{"c":3}`)
		},
		"ContextBehindAHeldBlock": func(l *listener) {
			l.do("begin", `{"a":1}`, "1", "|", "2", "begin", `{"b":2}`, "3", "|", "4", "commit").want(0, `1{"a":1} 2{"a":1} 3{"b":2} 4{"b":2}`)
		},
		"MistakesAreTold": func(l *listener) {
			l.do("begin", "!no", "!", "1", `{"mute":1}`, `{"t":"`+strings.Repeat("x", messageMax)+`"}`, "2", "commit")
			l.want(0, "1 2", "it is no JSON object", "mute is neither true nor false", "bytes=4104")
			if strings.Contains(l.log.String(), "!no") || strings.Contains(l.log.String(), "xxxx") {
				l.Error("the log quotes what was said")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newListener(t))
		})
	}
}

// TestSpokenIsBounded: a transaction may say as much as it likes.
func TestSpokenIsBounded(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"{}", mute} {
		l := newListener(t)
		l.stage.Wanted = func(*cdc.Change) coalesce.Wanted { return coalesce.Wanted{} }
		l.do("begin", first)
		for i := range 5000 {
			l.do(fmt.Sprintf(`{"n":%d}`, i), "1")
			if i%100 == 99 {
				l.do("|")
			}
			if i%1000 == 999 {
				l.do("block")
			}
			if n := len(l.contexts); n > 1100 {
				t.Fatalf("%d contexts are kept", n)
			}
		}
		l.do("commit", "begin", "1", "commit")
		if n := len(l.contexts); n != 0 {
			t.Errorf("%d contexts are kept of transactions that are over", n)
		}
	}
}

// TestMutedTransactionsAreSummedUp: an application that mutes all the time must not fill the log.
func TestMutedTransactionsAreSummedUp(t *testing.T) {
	t.Parallel()
	l := newListener(t)
	m, now := l.mutes, time.Now()
	for range 100 {
		l.do("begin", mute, "1", "2", "commit")
		m.look(now, false)
	}
	m.look(now.Add(mutesEvery-1), false)
	if n := strings.Count(l.log.String(), "\n"); n != mutesEach {
		t.Errorf("%d lines, want %d:\n%s", n, mutesEach, l.log.String())
	}
	m.look(now.Add(mutesEvery), false)
	if sum := "transactions=95 changes=190 first_position=0000000100000000000002580000000200000000 last_position=0000000100000000000027100000000200000000"; !strings.Contains(l.log.String(), sum) {
		t.Errorf("the log lacks %s:\n%s", sum, l.log.String())
	}
	l.log.Reset()
	l.do("begin", mute, "1", "|")
	m.look(now.Add(mutesEvery+1), false) // it may go on
	l.do("2", "commit")
	m.look(now.Add(mutesEvery+2), false)
	m.look(now.Add(mutesEvery+3), false)
	if got := l.log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "changes=2") {
		t.Errorf("the log has\n%s", got)
	}
}

// TestComplaintsAreCounted instead of repeated.
func TestComplaintsAreCounted(t *testing.T) {
	t.Parallel()
	l := newListener(t)
	for range 1000 {
		l.do("begin", "!", "1", mute, "commit")
	}
	if n := strings.Count(l.log.String(), "\n"); n != 2 {
		t.Errorf("%d lines, want 2:\n%s", n, l.log.String())
	}
	l.complaints[errLate].told = time.Time{}
	l.do("begin", "1", mute, "commit")
	if !strings.Contains(l.log.String(), "and_others=999") {
		t.Errorf("the log has\n%s", l.log.String())
	}
}
