package hooktest

import (
	"math/rand/v2"
	"sync"
)

// A Script decides the answer to a request. One receiver asks one request at a time, in the order of arrival; scripts of
// this package may be shared by several receivers. A script must not wait: an [Answer] does that.
type Script func(Request) Answer

// Always gives every request the same answer.
func Always(a Answer) Script { return func(Request) Answer { return a } }

// Sequence gives the requests these answers in turn, and the last one to all that follow.
func Sequence(answers ...Answer) Script {
	var mu sync.Mutex
	next := 0
	return func(Request) Answer {
		mu.Lock()
		defer mu.Unlock()
		if len(answers) == 0 {
			return OK()
		}
		a := answers[min(next, len(answers)-1)]
		next++
		return a
	}
}

// Times follows a script for the first n requests, and another one after that.
func Times(n int, first, then Script) Script {
	var mu sync.Mutex
	seen := 0
	return func(r Request) Answer {
		mu.Lock()
		seen++
		early := seen <= n
		mu.Unlock()
		if early {
			return first(r)
		}
		return then(r)
	}
}

// If follows one script for the requests that the condition holds for, and the other for the rest.
func If(condition func(Request) bool, then, otherwise Script) Script {
	return func(r Request) Answer {
		if condition(r) {
			return then(r)
		}
		return otherwise(r)
	}
}

// ForInstance follows one script for an instance, such as "contact/42", and the other for all others.
func ForInstance(instance string, then, otherwise Script) Script {
	return If(func(r Request) bool { return r.Instance() == instance }, then, otherwise)
}

// PerID gives every event a script of its own, so that Sequence counts the attempts of each.
func PerID(script func() Script) Script { return per(func(r Request) string { return r.ID }, script) }

// PerInstance gives every instance a script of its own.
func PerInstance(script func() Script) Script { return per(Request.Instance, script) }

func per(key func(Request) string, script func() Script) Script {
	var mu sync.Mutex
	scripts := map[string]Script{}
	return func(r Request) Answer {
		k := key(r)
		mu.Lock()
		own, ok := scripts[k]
		if !ok {
			own = script()
			scripts[k] = own
		}
		mu.Unlock()
		return own(r)
	}
}

// FailRate gives a failure to that share of the requests, from 0 to 1, and 200 to the rest. The same seed fails the same
// requests again.
func FailRate(share float64, seed uint64, failure Answer) Script {
	var mu sync.Mutex
	source := rand.New(rand.NewPCG(seed, seed))
	return func(Request) Answer {
		mu.Lock()
		defer mu.Unlock()
		if source.Float64() < share {
			return failure
		}
		return OK()
	}
}
