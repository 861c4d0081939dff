//go:build unix

package chaos

import (
	"crypto/md5"
	"fmt"
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
	}
	for name, c := range map[string]struct {
		unordered bool
		requests  []request
		kill      int // before which request rowhook is killed
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
				fails = r.failed
				id := r.id
				if id == "" {
					id = fmt.Sprint("evt_", r.seq)
				}
				body := fmt.Sprintf(`{"type":"item.update","data":{"id":1,"seq":%d,"mark":%d,"body":"%x"}}`, r.seq, r.seq, md5.Sum(fmt.Append(nil, r.seq)))
				if r.at == 0 {
					r.at = r.seq
				}
				l.answer(hooktest.Request{Path: "/t/a", ID: id, Attempt: 1, Position: fmt.Sprintf("%040x", r.at), Body: []byte(body), At: time.Now()})
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
