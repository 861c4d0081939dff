package app

import (
	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
)

// readiness says whether hooks flow: replicating and delivering, or standing by for a process that does.
func (a *App) readiness() client.Readiness {
	if a.opts.ProxyAlone {
		return a.proxyReadiness()
	}
	r := client.Readiness{Role: "starting", Ready: true}
	add := func(name, state, reason string, ready bool) {
		r.Parts = append(r.Parts, client.Part{Name: name, Ready: ready, State: state, Detail: reason})
		if !ready {
			r.Ready = false
			if r.Reason == "" {
				r.Reason = name + ": " + state
				if reason != "" {
					r.Reason = name + ": " + reason
				}
			}
		}
	}
	reason := ""
	if w := a.waiting.Load(); w != nil {
		reason = *w
	}
	if a.store.Load() == nil {
		add("store", "opening", reason, false)
	} else {
		add("store", "open", "", true)
	}
	d, s := a.dispatcher.Load(), a.replication()
	if d == nil {
		add("replication", "starting", reason, false)
		if reason, over := a.walReason(s); over {
			add("wal", "too much is kept", reason, false)
		}
		return r
	}
	switch s.Phase {
	case cdc.Streaming:
		r.Role = "active"
		if reason := s.Degraded; reason != "" {
			add("replication", string(s.Phase), reason, false)
		} else {
			if reason = a.rows.Waiting(); reason == "" {
				reason = a.reads.Waiting()
			}
			if reason == "" {
				reason = a.asker.Waiting()
			}
			add("replication", string(s.Phase), reason, reason == "")
		}
	case cdc.Standby:
		r.Role = "standby"
		add("replication", string(s.Phase), "", true)
	default:
		add("replication", string(s.Phase), s.Reason, false)
	}
	switch reason, over := a.walReason(s); {
	case !over:
		add("wal", "within database.max_wal_lag", reason, true)
	case s.Phase == cdc.Standby:
		// Were it red, a roll-out that is to replace the one that is behind would wait for ever.
		add("wal", "too much is kept", reason, true)
	default:
		add("wal", "too much is kept", reason, false)
	}
	if e := d.WriteError(); e != "" {
		add("delivery", "outcomes cannot be stored", e, false)
	} else if p := a.still.now.Load(); p != nil {
		// Somebody wants it: who takes what is not ready out of service would take the API with it.
		add("delivery", "paused", pauseText(p), true)
	} else {
		add("delivery", "running", "", true)
	}
	r.Parts = append(r.Parts, a.unfitParts()...)
	return r
}
