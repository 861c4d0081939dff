package app

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/finding"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// The codes of findings, beside those of incidents (cdc.IncidentKind) and cdc.CountedAsStandby. They are part of the API.
const (
	codeDatabase    = "database_unavailable"
	codeStore       = "store_unavailable"
	codeDiskFull    = "disk_full"
	codeReadOnly    = "read_only"
	codeBlocked     = "replication_blocked"
	codeWAL         = "wal_kept"
	codeSlotDanger  = "slot_in_danger"
	codeUnfit       = "resource_unfit"
	codeLetters     = "dead_letters"
	codeFilter      = "filter_failing"
	codeTarget      = "target_failing"
	codeAllTargets  = "all_targets_failing"
	codeTargetSlow  = "target_slow"
	codeTargetGone  = "target_gone"
	codeDisabled    = "subscriptions_disabled"
	codeClock       = "clock_off"
	codeApplication = "application_unavailable"
	codeReads       = "reads_waiting"
	codeLate        = "late"
	codePaused      = "paused"
	codeConfig      = "config_refused"
)

const (
	// failingTold are the failing targets that have a finding each; the rest is one together.
	failingTold = 3
	// clockWarn is from where on times that two machines give are misleading, clockTolerance what receivers accept, by Standard Webhooks,
	// between the time in the signature and their own.
	clockWarn      = 5 * time.Second
	clockTolerance = 5 * time.Minute
	// slowWaiting is from how many waiting deliveries on a target that does take them is called slow, if its attempts take slowTook or more.
	slowWaiting = 100
	slowTook    = time.Second
)

// findings are what is not as it should be, the worst first.
func (a *App) findings(s *client.Status, repl cdc.Status, found *contents, storeError error) []client.StatusFinding {
	f := &findingList{all: []client.StatusFinding{}}
	if a.opts.ProxyAlone {
		a.proxyFindings(f)
	} else {
		a.replicationFindings(f, repl)
		a.walFindings(f, repl)
		serverFindings(f, a.database.Load(), repl.Lag, a.cfg.Database.Slot)
		a.storeFindings(f, storeError)
		a.clockFindings(f, repl.Lag.Clock, repl.Lag.Trip)
		if reason := a.refusedConfig.Load(); reason != nil {
			f.add(client.SeverityWarning, codeConfig, "the changed config file was refused: "+reason.text, "rowhook goes on with the config before",
				"mend the file (rowhook check --config config.yaml says all that is wrong with it) and send SIGHUP again", reason.at)
		}
		if p := a.still.now.Load(); p != nil {
			what := "nothing is sent: it was paused by " + p.By
			if p.Reason != "" {
				what += ": " + p.Reason
			}
			f.add(client.SeverityWarning, codePaused, what, "what is committed is read, acknowledged, and waits in the store until it is resumed", "rowhook resume", p.Since)
		}
		// What is wrong says why it is late.
		if s.State == client.StateCatchingUp && !f.wrong() {
			f.add(client.SeverityInfo, codeLate, fmt.Sprintf("what is sent now was committed %s ago", roundDuration(time.Duration(s.Stream.LagSeconds*float64(time.Second)))),
				"hooks come late, and none is lost", "if it does not become less: rowhook status --watch shows whether the lag falls; raise limits.memory or delivery.max_in_flight", time.Time{})
		}
	}
	if found != nil {
		a.targetFindings(f, s, found)
		letterFindings(f, s, found)
	}
	slices.SortStableFunc(f.all, func(x, y client.StatusFinding) int { return cmp.Compare(rank(x.Severity), rank(y.Severity)) })
	return f.all
}

func rank(severity string) int {
	return slices.Index([]string{client.SeverityError, client.SeverityWarning, client.SeverityInfo}, severity)
}

type findingList struct{ all []client.StatusFinding }

func (f *findingList) add(severity, code, what, so, mend string, since time.Time) {
	f.all = append(f.all, client.StatusFinding{Severity: severity, Code: code, What: what, So: so, Mend: mend, Since: timeOrNil(since)})
}

// wrong says whether one of them is an error.
func (f *findingList) wrong() bool {
	return slices.ContainsFunc(f.all, func(x client.StatusFinding) bool { return x.Severity == client.SeverityError })
}

// splitHint takes apart what an error says and how it is mended.
func splitHint(text string) (what, mend string) {
	what, mend, _ = strings.Cut(text, "\n  hint: ")
	return what, mend
}

// consequences are what follows from what only a person can decide.
var consequences = map[string]string{
	string(cdc.SlotMissing):        "nothing is sent until you decide: what was committed since then is not in any log that rowhook could read",
	string(cdc.SlotLost):           "nothing is sent until you decide: what was committed since then is not in any log that rowhook could read",
	string(cdc.SlotMoved):          "nothing is sent until you decide",
	string(cdc.DatabaseRestored):   "nothing is sent until you decide: subscribers may know of changes that do not exist any more",
	string(cdc.OtherDatabase):      "nothing is sent, so that no hook of the original is sent twice",
	string(cdc.OtherEnvironment):   "nothing is sent, so that no hook of the original is sent twice",
	string(cdc.PublicationMissing): "nothing is sent until you decide",
	string(cdc.TablesUnpublished):  "changes of these tables are not sent; all others are",
	string(cdc.Undecodable):        "nothing behind it is sent, and the server keeps its log",
	string(cdc.TooLarge):           "nothing behind it is sent, and the server keeps its log",
	cdc.CountedAsStandby:           "commits of the application may wait for rowhook for ever",
}

// seeThatItRuns is the next step where an error knows none.
var seeThatItRuns = map[string]string{
	codeDatabase: "see that the server of database.url runs and answers; rowhook check --config config.yaml says what it finds there",
	codeStore:    "see that the server of store.url (without it: of database.url) runs and answers",
}

// replicationFindings tell what keeps changes from being read.
func (a *App) replicationFindings(f *findingList, repl cdc.Status) {
	if a.dispatcher.Load() == nil {
		t := a.trouble.Load()
		if t == nil {
			return
		}
		code := codeDatabase
		if t.what == "the store" || errors.Is(t.err, subscriptions.ErrUnavailable) {
			code = codeStore
		}
		so := "rowhook has not started: nothing is sent. What is committed meanwhile is in the slot, and sent then"
		if in := cdc.IncidentOf(t.err); in != nil {
			code, so = string(in.Kind), consequences[string(in.Kind)]
		}
		what, mend := splitHint(t.err.Error())
		code, mend = bySQLState(code, what, cmp.Or(mend, seeThatItRuns[code]))
		f.add(client.SeverityError, code, what, so, mend, t.since)
		return
	}
	switch repl.Phase {
	case cdc.Streaming:
		if repl.Degraded != "" {
			what, mend := splitHint(repl.Degraded)
			f.add(client.SeverityError, repl.DegradedKind, what, consequences[repl.DegradedKind], mend, time.Time{})
		}
	case cdc.Standby, cdc.Stopped:
	default:
		if repl.Reason == "" {
			break
		}
		code, so := codeDatabase, "nothing new is read or sent. What is committed meanwhile is in the slot, and sent when the connection is there again"
		if repl.Phase == cdc.Blocked {
			code, so = codeBlocked, "nothing new is read or sent until it is mended"
		}
		if repl.Incident != nil {
			code = string(repl.Incident.Kind)
			so = consequences[code]
		}
		what, mend := splitHint(repl.Reason)
		code, mend = bySQLState(code, what, cmp.Or(mend, seeThatItRuns[code]))
		f.add(client.SeverityError, code, what, so, mend, repl.Since)
	}
	for _, waiting := range []struct{ reason, code string }{{a.rows.Waiting(), codeReads}, {a.reads.Waiting(), codeReads}, {a.asker.Waiting(), codeApplication}} {
		if waiting.reason == "" || a.rows == a.reads && waiting.code == codeReads && len(f.all) > 0 && f.all[len(f.all)-1].Code == codeReads {
			continue
		}
		what, mend := splitHint(waiting.reason)
		if mend == "" && waiting.code == codeApplication {
			mend = "see that the application answers at app.url; its own log says why it does not"
		}
		f.add(client.SeverityError, waiting.code, what, "what needs it waits, and all changes behind that; nothing is lost", mend, time.Time{})
	}
}

// walFindings tell that the slot keeps too much.
func (a *App) walFindings(f *findingList, repl cdc.Status) {
	lag := repl.Lag
	if lag.Bounded && lag.WALStatus == "unreserved" {
		f.add(client.SeverityError, codeSlotDanger, fmt.Sprintf("the server is about to remove log that the slot %s needs (wal_status unreserved)", a.cfg.Database.Slot),
			"the slot is lost at the next checkpoint unless rowhook catches up: changes could not be delivered then",
			"at once: ALTER SYSTEM SET max_slot_wal_keep_size = -1;  SELECT pg_reload_conf();  then mend what holds rowhook up", lag.At)
	}
	reason, over := a.walReason(repl)
	if reason == "" {
		return
	}
	what, mend := splitHint(reason)
	severity, so := client.SeverityWarning, "the disk of the database fills if it goes on"
	if over {
		severity = client.SeverityError
	}
	f.add(severity, codeWAL, what, so, mend, time.Time{})
}

// serverFindings tell what of the server is no fault and worth mending.
func serverFindings(f *findingList, cat *cdc.Catalog, lag cdc.Lag, slot string) {
	told := func(code string, t finding.Finding) {
		severity := client.SeverityWarning
		if t.Level == finding.Info {
			severity = client.SeverityInfo
		}
		f.add(severity, code, t.What, t.Consequence, t.Mend, time.Time{})
	}
	if cat != nil {
		if old := cdc.OldMinor(cat.ServerVersion); old != nil {
			told(cdc.OldMinorCode, *old)
		}
	}
	if code, advice := lag.FailoverAdvice(slot); code != "" {
		told(code, advice)
	}
}

// storeFindings tell that the store does not take what has become of deliveries.
func (a *App) storeFindings(f *findingList, storeError error) {
	if a.dispatcher.Load() == nil && f.wrong() {
		return // what the start waits for is told
	}
	says, text, so := "the store does not take what is to be written: ", "", "what was sent is not written down, and nothing is acknowledged: nothing is lost, and it goes on by itself. Requests made meanwhile may be repeated"
	if d := a.dispatcher.Load(); d != nil {
		text = d.WriteError()
	}
	if text == "" && storeError != nil && a.store.Load() != nil {
		says, text, so = "the store cannot be read: ", storeError.Error(), "the numbers of this status may be old"
	}
	if text == "" {
		return
	}
	what, mend := splitHint(text)
	code, mend := bySQLState(codeStore, what, cmp.Or(mend, seeThatItRuns[codeStore]))
	f.add(client.SeverityError, code, says+strings.TrimPrefix(what, subscriptions.ErrUnavailable.Error()+": "), so, mend, time.Time{})
}

var sqlStateIn = regexp.MustCompile(`SQLSTATE ([0-9A-Z]{5})`)

// bySQLState is a more telling code and mend, where the server gave its reason.
func bySQLState(code, what, mend string) (string, string) {
	state := ""
	if m := sqlStateIn.FindStringSubmatch(what); m != nil {
		state = m[1]
	}
	switch state {
	case "53100":
		return codeDiskFull, "make room on the disk of that server (old logs, backups; never in pg_wal by hand), or enlarge it: rowhook goes on by itself then. " +
			"What rowhook keeps itself is bounded by retention.for"
	case "25006":
		return codeReadOnly, "the server takes no writes: it is a standby, or default_transaction_read_only is on. Point the URL at the primary, or: " +
			"ALTER SYSTEM RESET default_transaction_read_only;  SELECT pg_reload_conf();"
	case "53300":
		return code, "the server has no free connection: raise max_connections, or end idle ones"
	}
	return code, mend
}

// clockFindings compare the database's clock with ours. Which of the two is wrong cannot be told from here.
func (a *App) clockFindings(f *findingList, offset, trip time.Duration) {
	off := max(offset, -offset) - trip/2
	if off < clockWarn {
		return
	}
	direction := "behind"
	if offset < 0 {
		direction = "ahead of"
	}
	severity := client.SeverityWarning
	so := "times in the log, ages and latencies are wrong by as much. Receivers accept signatures that are up to 5 minutes off"
	if off >= clockTolerance {
		severity = client.SeverityError
		so = "if it is this clock that is wrong, receivers refuse every hook: the time in the signature is more than 5 minutes off, which Standard Webhooks tells them to take for a replay"
	}
	f.add(severity, codeClock, fmt.Sprintf("this machine's clock is %s %s that of the database", roundDuration(off), direction), so,
		"compare both with a third (date -u; SELECT now();), and let both be set by NTP: timedatectl set-ntp true, or chronyc tracking", time.Time{})
}

// proxyFindings tell what keeps the application's traffic from flowing.
func (a *App) proxyFindings(f *findingList) {
	if reason := a.appTrouble.Load(); reason != nil && *reason != "" {
		f.add(client.SeverityError, codeApplication, "the application cannot be reached: "+*reason, "requests to the proxy are answered with 502",
			"see that it listens at app.url", time.Time{})
	}
	text := ""
	if w := a.waiting.Load(); w != nil {
		text = *w
	} else if reason := a.storeTrouble.Load(); reason != nil {
		text = *reason
	}
	if text == "" {
		return
	}
	what, mend := splitHint(text)
	code, mend := bySQLState(codeStore, what, cmp.Or(mend, seeThatItRuns[codeStore]))
	f.add(client.SeverityError, code, what, "the application's requests are passed on; those for subscriptions are answered with 503", mend, time.Time{})
}

// targetFindings tell which targets take nothing, or too little.
func (a *App) targetFindings(f *findingList, s *client.Status, found *contents) {
	if found.Failing >= 3 && found.Failing >= found.Targets && len(found.failing) > 0 {
		f.add(client.SeverityError, codeAllTargets, fmt.Sprintf("the targets of all %d active subscriptions take nothing", found.Failing),
			"no hook arrives anywhere: it is more likely our way out than all of them",
			"look at this machine's way out: DNS, firewall, delivery.egress_proxy; curl -v https://"+hostOr(found.failing[0].TargetHost)+"/ from here", found.failing[0].Since)
	}
	for i := range s.Failing {
		if i == failingTold {
			f.add(client.SeverityWarning, codeTarget, fmt.Sprintf("%d more targets take nothing", found.Failing-failingTold), "what is for them is kept and tried again",
				"rowhook subscription list --failing", time.Time{})
			break
		}
		x := &s.Failing[i]
		what := fmt.Sprintf("%s takes nothing from %s: %s", hostOr(x.TargetHost), x.ID, reasonText(x))
		if x.Name != "" {
			what = fmt.Sprintf("%s takes nothing from %s (%s): %s", hostOr(x.TargetHost), x.ID, x.Name, reasonText(x))
		}
		so := "it is tried again for days, and delays nobody else; after 5 days it is disabled"
		if x.Waiting != nil && *x.Waiting > 0 {
			so = plural(*x.Waiting, "delivery waits", "deliveries wait") + " for it; " + so
		}
		f.add(client.SeverityWarning, codeTarget, what, so, targetMend(x), x.Since)
	}
	if d := a.dispatcher.Load(); d != nil && s.Role == "active" {
		slowFindings(f, s, d.Laggards(failingTold+failingShown))
	}
	a.gones.tell(f)
	if found.Disabled > 0 {
		f.add(client.SeverityWarning, codeDisabled, fmt.Sprintf("%s disabled because their targets took nothing for 5 days", plural(found.Disabled, "subscription was", "subscriptions were")),
			"what is for them is kept for retention.for ("+a.live.Load().Retention.For.String()+")",
			"when a target is mended: rowhook subscription enable --all-failed --dry-run; what nobody wants any more: rowhook subscription delete ID", time.Time{})
	}
	if found.FilterErrors > 0 {
		f.add(client.SeverityWarning, codeFilter, fmt.Sprintf("the filter of %s failed on events", plural(found.FilterErrors, "subscription", "subscriptions")),
			"these events were not sent to them", "rowhook subscription get ID shows filter_error; setting the filter again forgets it", time.Time{})
	}
}

// slowFindings tell of targets that take what is sent, and not as fast as there is more.
func slowFindings(f *findingList, s *client.Status, all []sender.Laggard) {
	for _, l := range all {
		failing := slices.ContainsFunc(s.Failing, func(x client.StatusFailing) bool { return x.ID == l.ID })
		if failing || l.Paused || l.Waiting < slowWaiting && l.Took < slowTook || l.Took < slowTook && l.Waiting < 10*slowWaiting {
			continue
		}
		f.add(client.SeverityWarning, codeTargetSlow, fmt.Sprintf("the target of %s is slower than its events come: an attempt takes %s, and %d deliveries wait", l.ID,
			roundDuration(l.Took), l.Waiting), "its hooks come late, and those of nobody else",
			"ask its owner to answer first and work afterwards (docs/receiving.md); or let it take more at once: rowhook subscription update "+l.ID+
				" --max-in-flight N, or --batch max=N", time.Time{})
	}
}

func hostOr(host string) string {
	if host == "" {
		return "the target"
	}
	return host
}

// reasonText is why the last attempt failed, in words.
func reasonText(x *client.StatusFailing) string {
	switch {
	case x.Status != nil && x.Error == sender.ReasonHTTPStatus:
		return fmt.Sprintf("it answers %d", *x.Status)
	case x.Error == "":
		return "its attempts fail"
	}
	if text, ok := reasonTexts[x.Error]; ok {
		return text
	}
	return x.Error
}

var reasonTexts = map[string]string{
	sender.ReasonTimeout:           "it does not answer in time",
	sender.ReasonDNS:               "its name does not resolve",
	sender.ReasonBlockedAddress:    "its address may not be sent to",
	sender.ReasonConnectionRefused: "it refuses the connection",
	sender.ReasonConnectionReset:   "it cuts the connection",
	sender.ReasonConnection:        "no connection to it can be made",
	sender.ReasonTLS:               "its certificate or TLS is not right",
	sender.ReasonInvalidResponse:   "it answers something that is not HTTP",
	sender.ReasonProxy:             "delivery.egress_proxy does not let through",
	sender.ReasonConfiguration:     "how it is to be asked cannot be made: see the subscription's request",
}

// targetMend is the next step for a target that takes nothing.
func targetMend(x *client.StatusFailing) string {
	see := "rowhook delivery list " + x.ID + " shows its attempts"
	switch x.Error {
	case sender.ReasonDNS:
		return "check the host in its target_url, and DNS on this machine; " + see
	case sender.ReasonBlockedAddress:
		return "it is in a private network: allow it by delivery.allow_networks if it is meant, else correct its target_url; " + see
	case sender.ReasonTimeout:
		return "tell its owner: it has to answer within the timeout, and work afterwards; or raise the subscription's delivery.timeout; " + see
	case sender.ReasonTLS:
		return "tell its owner: the certificate has expired, or is for another host; " + see
	case sender.ReasonProxy:
		return "look at delivery.egress_proxy: the proxy is away, or refuses the login; " + see
	case sender.ReasonHTTPStatus:
		if x.Status == nil {
			break
		}
		switch *x.Status {
		case 401, 403:
			return "the login of the subscription's request (auth, headers), or the secret that its owner verifies with, is not what it expects; " + see
		case 404, 405:
			return "its target_url is not (any more) where it takes hooks: ask its owner; " + see
		}
	}
	return "tell its owner; when it is well again all is sent by itself; " + see
}

// letterFindings tell what could not be mapped.
func letterFindings(f *findingList, s *client.Status, found *contents) {
	for _, r := range s.Resources {
		if r.Fit {
			continue
		}
		what, mend := splitHint(r.Reason)
		if mend == "" {
			mend = "mend the resource " + r.Name + " in the config, or its table " + r.Table
		}
		f.add(client.SeverityError, codeUnfit, "the mapping of "+r.Name+" does not fit the table "+r.Table+" any more: "+strings.TrimPrefix(what, mapping.Unfit),
			"its changes are kept as dead letters, and not sent; all other resources go on", mend+"; then SIGHUP, and rowhook dead-letter replay --resource "+r.Name, time.Time{})
	}
	if found.Letters == 0 {
		return
	}
	f.add(client.SeverityWarning, codeLetters, fmt.Sprintf("%s open; the newest is of %s: %s", plural(found.Letters, "dead letter is", "dead letters are"), found.LetterResource, found.LetterReason),
		"these changes were not sent to anybody", "rowhook dead-letter list; mend the mapping and send SIGHUP; then rowhook dead-letter replay --resource "+found.LetterResource, found.OldestLetter)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func roundDuration(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// refusedConfig is why the last reload was refused.
type refusedConfig struct {
	text string
	at   time.Time
}

// noteReload notes how a reload ended.
func (a *App) noteReload(err error) {
	if err == nil {
		a.refusedConfig.Store(nil)
		return
	}
	text, more := err.Error(), ""
	if all := mistakes(err); len(all) > 0 {
		text = all[0].Error()
		if len(all) > 1 {
			more = fmt.Sprintf(" (and %d more)", len(all)-1)
		}
	}
	var told *cdc.Error
	if errors.As(err, &told) {
		text = told.What
	}
	text, _, _ = strings.Cut(text, "\n")
	a.refusedConfig.Store(&refusedConfig{text + more, time.Now()})
}
