//go:build unix

package chaos

import (
	"hash/fnv"
	"strconv"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// temper is how a target answers. It fails some of the first attempts of an event, those that the seed says for it, so that in
// the end everything is delivered. What is left at the end has to be taken as often as what came first: a target that takes
// nothing for a while is tried seldom.
type temper func(t *target, key int64, id string, attempt int) hooktest.Answer

// target is one subscription as its receiver sees it.
type target struct {
	name   string
	seed   uint64
	temper temper
	// unordered is ordering: none. updatesOnly gets creates and deletes at times only.
	unordered, updatesOnly bool
	// batch gets arrays, gzip bodies that are compressed.
	batch, gzip bool
	// late was subscribed to in the middle of the run: it begins at any number of a key.
	late bool

	keys map[int64]*history
	// first counts the events that arrived successfully, by operation; repeated the requests after that.
	first    [4]int
	repeated int
	// last is when something arrived; closed, if not zero, from when on nothing may.
	last, closed time.Time
}

// dice are different for every target and event, and the same for every attempt.
func (t *target) dice(id, what string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(strconv.AppendUint(nil, t.seed, 10))
	_, _ = h.Write([]byte(t.name + "\x00" + id + "\x00" + what))
	n := h.Sum64()
	return n ^ n>>29 // the low bits of FNV alone are poor
}

func healthy(*target, int64, string, int) hooktest.Answer { return hooktest.OK() }

// slow takes its time over everything, and sometimes drips the body after a good status.
func slow(t *target, _ int64, id string, _ int) hooktest.Answer {
	d := t.dice(id, "slow")
	a := hooktest.OK()
	if d%100 == 0 {
		a = hooktest.Drip("thank you very much", 10*time.Millisecond)
	}
	a.Delay = time.Duration(5+d>>8%40) * time.Millisecond
	return a
}

// badKeys fails two keys in five: half of the first four attempts of an event.
func badKeys(t *target, key int64, id string, attempt int) hooktest.Answer {
	if key%5 >= 2 || attempt > 4 || t.dice(id, "fail"+strconv.Itoa(attempt))%2 == 0 {
		return hooktest.OK()
	}
	return t.failure(id, attempt)
}

// moody fails half of the first three attempts of an event.
func moody(t *target, _ int64, id string, attempt int) hooktest.Answer {
	if attempt > 3 || t.dice(id, "fail"+strconv.Itoa(attempt))%2 == 0 {
		return hooktest.OK()
	}
	return t.failure(id, attempt)
}

// seldom fails one event in five, once.
func seldom(t *target, _ int64, id string, attempt int) hooktest.Answer {
	if attempt > 1 || t.dice(id, "fail")%5 != 0 {
		return hooktest.OK()
	}
	return t.failure(id, attempt)
}

// failure is one of the ways in which targets fail. The event has been taken in all of them: what the answer says is a
// lie, or never comes.
func (t *target) failure(id string, attempt int) hooktest.Answer {
	switch d := t.dice(id, "how"+strconv.Itoa(attempt)) % 1000; {
	case d < 550:
		return hooktest.Status(500)
	case d < 700:
		return hooktest.Reset()
	case d < 850:
		return hooktest.Close()
	case d < 900:
		return hooktest.Garbage()
	case d < 950:
		return hooktest.Answer{Status: 502, Body: "half an ans", Break: hooktest.BreakReset}
	case d < 990:
		return hooktest.Answer{Status: 503, Body: "come again", Pace: 5 * time.Millisecond}
	}
	return hooktest.Hang() // until the client has enough
}
