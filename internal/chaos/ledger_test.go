//go:build unix

package chaos

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestTheLedgerSeesWhatIsWrong makes requests of a rowhook that breaks its promises: a harness that sees nothing would
// pass every run.
func TestTheLedgerSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	type request struct {
		seq    int
		id     string
		failed bool
		at     int // its position; seq, if it is not given
		// attempt is 1 if it is not given; with more, the one before was a timeout.
		attempt int
	}
	for name, c := range map[string]struct {
		unordered bool
		requests  []request
		kill      int // before which request rowhook is killed
		stop      int // or stopped
		want      string
		repeated  int
	}{
		"Good":         {requests: []request{{seq: 1}, {seq: 2, failed: true}, {seq: 2}, {seq: 3}}},
		"Overtaken":    {requests: []request{{seq: 1, failed: true}, {seq: 2}}, want: "overtook"},
		"OutOfOrder":   {requests: []request{{seq: 1}, {seq: 3}, {seq: 2}}, want: "arrived first after"},
		"Unordered":    {unordered: true, requests: []request{{seq: 1}, {seq: 3}, {seq: 2}}},
		"Beginning":    {requests: []request{{seq: 2}}, want: "the first arrival"},
		"Position":     {requests: []request{{seq: 1, at: 2}, {seq: 2, at: 1}}, want: "stands at"},
		"TwoEvents":    {requests: []request{{seq: 1}, {seq: 1, id: "other"}}, want: "is two events"},
		"TwiceForNone": {requests: []request{{seq: 1}, {seq: 1}}, want: "for no reason"},
		"AfterAKill":   {requests: []request{{seq: 1}, {seq: 2}, {seq: 1}, {seq: 2}}, kill: 2, repeated: 2},
		"AfterAStop":   {requests: []request{{seq: 1}, {seq: 1}}, stop: 1, want: "stopped cleanly"},
		"TooLate":      {requests: []request{{seq: 1}, {seq: 1, attempt: 2}}, stop: 1},
		"StoppedAgain": {requests: []request{{seq: 1, failed: true}, {seq: 1, attempt: 2}, {seq: 1, attempt: 2}}, stop: 2, want: "stopped cleanly"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			fails := false
			l.add(&target{name: "t", unordered: c.unordered, temper: func(*target, int64, string, int) hooktest.Answer {
				if fails {
					return hooktest.Status(500)
				}
				return hooktest.OK()
			}})
			var kill *Breakage
			for i, r := range c.requests {
				if c.kill > 0 && i == c.kill {
					kill = l.broke(killed, time.Now())
					l.sending(time.Now())
				}
				if c.stop > 0 && i == c.stop {
					l.broke(stopped, time.Now())
					l.sending(time.Now())
				}
				reason := ""
				if r.attempt > 1 {
					reason = "timeout"
				}
				fails = r.failed
				id := r.id
				if id == "" {
					id = fmt.Sprint("evt_", r.seq)
				}
				body := fmt.Sprintf(`{"type":"item.update","data":{"id":1,"seq":%d,"mark":%d,"body":"%x"}}`, r.seq, r.seq, md5.Sum(fmt.Append(nil, r.seq)))
				if r.at == 0 {
					r.at = r.seq
				}
				l.answer(hooktest.Request{Path: "/t/a", ID: id, Attempt: max(1, r.attempt), RetryReason: reason, Position: fmt.Sprintf("%040x", r.at), Body: []byte(body), At: time.Now()})
			}
			got := strings.Join(l.wrong, "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if kill != nil && kill.Repeated != c.repeated {
				t.Errorf("%d came again after the kill, want %d", kill.Repeated, c.repeated)
			}
		})
	}
}

// TestTheLedgerJudgesBatches message by message, and what a kill doubled of them by requests.
func TestTheLedgerJudgesBatches(t *testing.T) {
	t.Parallel()
	type request struct {
		numbers  string // of the messages, as they stand
		failed   bool
		position int // in the header; that of the last message, if it is not given
		plain    bool
	}
	for name, c := range map[string]struct {
		requests          []request
		kill              int
		want              string
		repeated, doubled int
	}{
		"Good":             {requests: []request{{numbers: "1 2"}, {numbers: "3"}, {numbers: "4 5 6"}}},
		"FailedTogether":   {requests: []request{{numbers: "1 2", failed: true}, {numbers: "1 2 3"}}},
		"ComeApart":        {requests: []request{{numbers: "1 2", failed: true}, {numbers: "1"}, {numbers: "2"}}},
		"OvertakeApart":    {requests: []request{{numbers: "1 2", failed: true}, {numbers: "2"}}, want: "overtook"},
		"Overtaken":        {requests: []request{{numbers: "1", failed: true}, {numbers: "2 3"}}, want: "overtook"},
		"OutOfOrder":       {requests: []request{{numbers: "2 1"}}, want: "not in the order"},
		"TwiceInOne":       {requests: []request{{numbers: "1 1"}}, want: "not in the order"},
		"TwiceForNone":     {requests: []request{{numbers: "1 2"}, {numbers: "2 3"}}, want: "for no reason"},
		"PositionOfHeader": {requests: []request{{numbers: "1 2", position: 1}}, want: "the last message stands at"},
		"NoArray":          {requests: []request{{numbers: "1", plain: true}}, want: "nobody asked for"},
		"Empty":            {requests: []request{{position: 1}}, want: "0 messages"},
		"AfterAKill":       {requests: []request{{numbers: "1 2 3"}, {numbers: "4"}, {numbers: "1 2"}, {numbers: "3 4"}}, kill: 2, repeated: 4, doubled: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			fails := false
			l.add(&target{name: "t", batch: true, temper: func(*target, int64, string, int) hooktest.Answer {
				if fails {
					return hooktest.Status(500)
				}
				return hooktest.OK()
			}})
			var kill *Breakage
			for i, r := range c.requests {
				if c.kill > 0 && i == c.kill {
					kill = l.broke(killed, time.Now())
					l.sending(time.Now())
				}
				fails = r.failed
				var bodies []string
				for _, text := range strings.Fields(r.numbers) {
					n, err := strconv.Atoi(text)
					if err != nil {
						t.Fatal(err)
					}
					bodies = append(bodies, fmt.Sprintf(`{"id":"evt_%d","type":"item.update","data":{"id":1,"seq":%d,"mark":%d,"body":"%x"},"position":"%040x"}`,
						n, n, n, md5.Sum(fmt.Append(nil, n)), n))
					if r.position < n {
						r.position = n
					}
				}
				if c := c.requests[i]; c.position > 0 {
					r.position = c.position
				}
				body := "[" + strings.Join(bodies, ",") + "]"
				if r.plain {
					body = bodies[0]
				}
				// An id of which the dice do not say that the array is too large.
				id := "bat_"
				for l.targets["t"].dice(id, "large")%20 == 0 {
					id += "x"
				}
				l.answer(hooktest.Request{Path: "/t/a", ID: id, Type: "rowhook.batch", Attempt: 1,
					Position: fmt.Sprintf("%040x", r.position), Body: []byte(body), At: time.Now()})
			}
			got := strings.Join(l.wrong, "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if kill != nil && (kill.Repeated != c.repeated || kill.Requests() != c.doubled) {
				t.Errorf("%d events of %d requests came again after the kill, want %d of %d", kill.Repeated, kill.Requests(), c.repeated, c.doubled)
			}
		})
	}
}

// TestTheLedgerReadsGzip where it is wanted, and sees where it is missing or too much.
func TestTheLedgerReadsGzip(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wanted, sent bool
		size         int
		want         string
	}{
		"Large":    {wanted: true, sent: true, size: 2000},
		"Small":    {wanted: true, size: 100},
		"Missing":  {wanted: true, size: 2000, want: "gzip is false"},
		"TooSmall": {wanted: true, sent: true, size: 100, want: "gzip is true"},
		"Unwanted": {sent: true, size: 2000, want: "gzip is true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			to := l.add(&target{name: "t", gzip: c.wanted, temper: healthy})
			body := fmt.Appendf(nil, `{"type":"item.create","data":{"id":1,"seq":1,"mark":1,"body":"%x%s"}}`, md5.Sum([]byte("1")), strings.Repeat(".", c.size))
			q := hooktest.Request{Path: "/t/a", ID: "evt_1", Attempt: 1, Position: "1", At: time.Now(), Header: http.Header{}}
			if q.Body = body; c.sent {
				var packed bytes.Buffer
				w := gzip.NewWriter(&packed)
				_, _ = w.Write(body)
				_ = w.Close()
				q.Body = packed.Bytes()
				q.Header.Set("Content-Encoding", "gzip")
			}
			l.answer(q)
			got := strings.Join(l.wrong, "\n")
			if c.want == "" && (got != "" || l.delivered(to)[insert] != 1) || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
