package app_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/seal"
)

// agreeing answers with the secret, or the challenge, of the request.
func agreeing(q hooktest.Request) hooktest.Answer {
	if query, err := url.ParseQuery(q.Query); err == nil && q.Method == "GET" {
		return hooktest.Answer{Body: query.Get("challenge")}
	}
	return hooktest.OK().With("X-Hook-Secret", q.Header.Get("X-Hook-Secret"))
}

// given are the values that a path of the receiver was given to answer.
func (r *rig) given(path string) []string {
	var values []string
	for _, q := range hooktest.ByPath(r.recv.Requests())[path] {
		query, _ := url.ParseQuery(q.Query)
		if v := q.Header.Get("X-Hook-Secret") + query.Get("challenge"); v != "" {
			values = append(values, v)
		}
	}
	return values
}

// confirm is what a target sends that agrees later.
func (r *rig) confirm(id, value string) int {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), "POST", r.api+"/api/v1/subscription/"+id+"/confirm", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("X-Hook-Secret", value)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// reaches waits until a subscription is in the state, or gone.
func (r *rig) reaches(id, state string) *client.Subscription {
	r.t.Helper()
	var s *client.Subscription
	eventually(r.t, id+" is "+state, func() bool {
		var err error
		s, err = r.admin().Get(r.t.Context(), id)
		if state == "gone" {
			var told *client.Error
			return errors.As(err, &told) && told.Status == 404
		}
		return err == nil && s.State == state
	})
	return s
}

// TestVerification is a table of targets, each of which gets what commits after it has agreed, and nothing else.
func TestVerification(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := seal.NewKey().Reveal()
	r.text = strings.Replace(r.text, "api:\n", "store: {encryption_key: '"+key+"'}\napi:\n", 1)
	wrong := hooktest.Always(hooktest.OK().With("X-Hook-Secret", "rhv_WRONG"))
	once := &client.Retries{Count: 0}
	tests := []struct {
		path, kind string
		script     hooktest.Script
		delivery   client.Delivery
		state      string
		// error is in last_error, attempts are those made.
		error    string
		attempts int
	}{
		{path: "/echo", kind: "secret", script: agreeing, state: "active", attempts: 1},
		{path: "/challenge", kind: "challenge", script: agreeing, state: "active", attempts: 1},
		{path: "/silent", kind: "secret", script: hooktest.Always(hooktest.OK()), delivery: client.Delivery{Retries: once}, state: "pending", attempts: 1},
		{path: "/flaky", kind: "secret", script: hooktest.Times(2, hooktest.Always(hooktest.Status(500)), agreeing), state: "active", attempts: 3},
		{path: "/wrong", kind: "secret", script: wrong, delivery: client.Delivery{Retries: once}, state: "expired", error: "not_confirmed: ", attempts: 1},
		{path: "/redirect", kind: "challenge", script: hooktest.Always(hooktest.Redirect(307, "/echo")), delivery: client.Delivery{Retries: once}, state: "expired", error: "http_status 307", attempts: 1},
		{path: "/hang", kind: "challenge", script: hooktest.Always(hooktest.Hang()), delivery: client.Delivery{Retries: once, Timeout: "100ms"}, state: "expired", error: "timeout", attempts: 1},
		{path: "/gone", kind: "secret", script: hooktest.Always(hooktest.Status(410)), state: "gone"},
	}
	stop := r.start()
	ids := map[string]string{}
	var answers []string
	see := func(s *client.Subscription) {
		t.Helper()
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, string(text))
	}
	for _, tt := range tests {
		r.recv.Handle(tt.path, tt.script)
		want := &client.Subscription{Events: []string{"note.*"}, TargetURL: r.recv.URL(tt.path), Verification: tt.kind, Delivery: tt.delivery, NotifyEnd: true}
		s, err := r.admin().Create(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		if s.State != "pending" || s.VerificationStatus == nil || s.VerificationStatus.ExpiresAt == nil {
			t.Errorf("%s: made as %+v", tt.path, s)
		}
		see(s)
		ids[tt.path] = s.ID
	}
	r.exec(`insert into notes values (1, 'before')`)
	for _, tt := range tests {
		s := r.reaches(ids[tt.path], tt.state)
		if tt.state == "gone" {
			continue
		}
		eventually(t, tt.path+": the attempts are told", func() bool {
			s = r.reaches(ids[tt.path], tt.state)
			return s.VerificationStatus.Attempts == tt.attempts
		})
		see(s)
		v := s.VerificationStatus
		if !strings.HasPrefix(v.LastError, tt.error) || (tt.error == "") != (v.LastError == "") || v.NextAttempt != nil || v.LastAttempt == nil || (v.ConfirmedAt != nil) != (tt.state == "active") {
			t.Errorf("%s: %+v", tt.path, v)
		}
		if tt.state == "expired" && (s.DisabledReason == nil || s.DisabledReason.By != "rowhook" || !strings.Contains(s.DisabledReason.Reason, tt.error)) {
			t.Errorf("%s: expired because of %+v", tt.path, s.DisabledReason)
		}
		if got := r.given(tt.path); len(got) != tt.attempts || len(slices.Compact(got)) != 1 {
			t.Errorf("%s was given %v", tt.path, got)
		}
		if _, err := r.admin().Ping(t.Context(), s.ID); (err == nil) != (tt.state == "active") {
			t.Errorf("%s: a ping is answered %v", tt.path, err)
		}
	}

	// A target that confirms later. What it was given counts for it alone, and until it is asked again.
	silent := ids["/silent"]
	old := r.given("/silent")[0]
	for id, value := range map[string]string{silent: r.given("/echo")[0], "sub_" + strings.Repeat("a", 26): old, ids["/wrong"]: r.given("/wrong")[0]} {
		if status := r.confirm(id, value); status != 404 {
			t.Errorf("confirmed %s by what is not its own: %d", id, status)
		}
	}
	r.recv.Handle("/silent2", hooktest.Always(hooktest.OK()))
	if s, err := r.admin().Update(t.Context(), silent, client.Patch{"target_url": r.recv.URL("/silent2")}); err != nil || s.State != "pending" || s.VerificationStatus.Attempts != 0 {
		t.Fatalf("another target: %+v, %v", s, err)
	}
	r.recv.WaitFor(t, func([]hooktest.Request) bool { return len(r.given("/silent2")) == 1 })
	eventually(t, "the old value confirms nothing", func() bool { return r.confirm(silent, old) == 404 })
	r.exec(`insert into notes values (2, 'before')`)
	eventually(t, "the target confirms", func() bool { return r.confirm(silent, r.given("/silent2")[0]) == 204 })
	r.exec(`insert into notes values (3, 'after')`)
	if status := r.confirm(silent, r.given("/silent2")[0]); status != 204 && status != 429 {
		t.Errorf("confirmed again: %d", status)
	}
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/silent2", "note/3", 1)(q) && arrived("/echo", "note/3", 1)(q) && arrived("/flaky", "note/3", 1)(q)
	})

	// An expired one is asked again when it is enabled.
	r.recv.Handle("/wrong", agreeing)
	if s, err := r.admin().Enable(t.Context(), ids["/wrong"]); err != nil || s.State != "pending" || s.DisabledReason != nil {
		t.Errorf("enabled: %+v, %v", s, err)
	}
	r.reaches(ids["/wrong"], "active")
	r.exec(`insert into notes values (4, 'after')`)
	r.recv.WaitFor(t, arrived("/wrong", "note/4", 1))
	// A target that has agreed has not done so for another one.
	r.recv.Handle("/elsewhere", hooktest.Always(hooktest.OK()))
	if s, err := r.admin().Update(t.Context(), ids["/echo"], client.Patch{"target_url": r.recv.URL("/elsewhere")}); err != nil || s.State != "pending" {
		t.Errorf("another target: %+v, %v", s, err)
	}
	r.exec(`insert into notes values (5, 'after')`)
	r.recv.WaitFor(t, arrived("/wrong", "note/5", 1))
	r.settled()

	// Each has what it is to have, and no more.
	want := map[string]string{"/silent": "", "/silent2": "note/3 note/4 note/5", "/wrong": "note/4 note/5", "/redirect": "", "/hang": "", "/gone": "", "/elsewhere": ""}
	for path, q := range hooktest.ByPath(r.recv.Requests()) {
		var got []string
		for _, x := range q {
			if strings.HasPrefix(x.Type, "note.") {
				got = append(got, x.Instance())
			}
		}
		slices.Sort(got)
		if want, ok := want[path]; ok && strings.Join(got, " ") != want {
			t.Errorf("%s got %v, want %v", path, got, want)
		}
	}

	// Who was subscribed is told of the end; who has said so itself, or has not agreed, is not.
	r.recv.Handle("/flaky", hooktest.Always(hooktest.Status(410)))
	r.exec(`insert into notes values (6, 'after')`)
	r.reaches(ids["/flaky"], "gone")
	for _, path := range []string{"/challenge", "/hang"} {
		if err := r.admin().Delete(t.Context(), ids[path]); err != nil {
			t.Fatal(err)
		}
	}
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return ended(q) == "/challenge" })
	r.exec(`insert into notes values (7, 'after')`)
	all := r.recv.WaitFor(t, arrived("/wrong", "note/7", 1))
	if got := ended(all); got != "/challenge" {
		t.Errorf("of the end were told: %s", got)
	}

	// What was given to a target is seen nowhere else.
	for _, table := range []string{"subscription", "verification", "ending", "superseded"} {
		answers = append(answers, r.text1(`select coalesce(string_agg(x::text, ' '), '') from rowhook.`+table+` x`))
	}
	if v := r.metric(`rowhook_verifications_total{result="confirmed"}`); v != 5 {
		t.Errorf("%g were confirmed", v)
	}
	stop()
	answers = append(answers, r.log.String())
	var values []string
	for _, path := range []string{"/echo", "/challenge", "/silent", "/silent2", "/flaky", "/wrong", "/redirect", "/hang", "/gone", "/elsewhere"} {
		values = append(values, r.given(path)...)
	}
	if len(values) < 10 {
		t.Errorf("only %d values were given", len(values))
	}
	for _, text := range answers {
		for _, value := range values {
			if strings.Contains(text, value) {
				t.Errorf("%s is seen in %s", value, text)
			}
		}
	}
}

// ended are the paths whose targets were told of the end.
func ended(q []hooktest.Request) string {
	var paths []string
	for _, x := range q {
		if x.Method == "DELETE" {
			paths = append(paths, x.Path)
		}
	}
	slices.Sort(paths)
	return strings.Join(paths, " ")
}

// TestVerificationGoesOnElsewhere kills the process that is asking one target and telling another of the end: the one that
// stood by does both, and none was done by two at once.
func TestVerificationGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.recv.Handle("/asked", hooktest.Times(1, hooktest.Always(hooktest.Hang()), agreeing))
	r.recv.Handle("/told", hooktest.Sequence(hooktest.Hang(), hooktest.OK()))
	r.text = strings.Replace(r.text, "timeout: 2s", "timeout: 60s", 1)
	first := r.spawn()
	r.spawn() // the API is the standby's
	make := func(path, kind string) *client.Subscription {
		t.Helper()
		s, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"note.*"}, TargetURL: r.recv.URL(path), Verification: kind, NotifyEnd: true})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	told, asked := make("/told", ""), make("/asked", "secret")
	if err := r.admin().Delete(t.Context(), told.ID); err != nil {
		t.Fatal(err)
	}
	hanging := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return len(hooktest.ByPath(q)["/asked"]) == 1 && len(hooktest.ByPath(q)["/told"]) == 1
	})
	if s, err := r.admin().Get(t.Context(), asked.ID); err != nil || s.State != "pending" || s.VerificationStatus.Attempts != 0 {
		t.Fatalf("while it is asked: %+v, %v", s, err)
	}
	r.exec(`insert into notes values (0, 'x')`)
	kill(t, first)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return len(hooktest.ByPath(q)["/asked"]) == 2 && len(hooktest.ByPath(q)["/told"]) == 2
	})
	s := r.reaches(asked.ID, "active")
	r.exec(`insert into notes values (1, 'x')`)
	all := r.recv.WaitFor(t, arrived("/asked", "note/1", 1))
	if arrived("/asked", "note/0", 1)(all) {
		t.Error("what was committed before the target agreed has come")
	}
	if got := r.given("/asked"); len(got) != 2 || got[0] != got[1] || s.VerificationStatus.Attempts != 1 {
		t.Errorf("it was given %v, in %d attempts", got, s.VerificationStatus.Attempts)
	}
	if len(hanging) != 2 || ended(all) != "/told /told" {
		t.Errorf("%d requests hung, told were %s", len(hanging), ended(all))
	}
	for _, q := range hooktest.ByPath(all)["/told"] {
		if err := q.Verify(told.Secret); err != nil || q.Type != "rowhook.unsubscribed" {
			t.Errorf("%s: %v", q, err)
		}
	}
	eventually(t, "nothing is left to be told", func() bool { return r.text1(`select count(*)::text from rowhook.ending`) == "0" })
}

// TestAProxyThatIsAwayIsNoAnswer: while the egress proxy cannot be used, no target is taken for one that does not agree, and none is given
// up that is to be told of the end.
func TestAProxyThatIsAwayIsNoAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n")
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); accepting.Wait() })
	r := newRig(t)
	r.text = strings.Replace(r.text, "delivery:\n", "delivery:\n  egress_proxy: http://"+l.Addr().String()+"\n", 1)
	r.start()
	s, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"note.*"}, TargetURL: r.recv.URL("/asked"), Verification: "secret",
		Delivery: client.Delivery{Retries: &client.Retries{Count: 0}}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it was tried", func() bool {
		s, err = r.admin().Get(t.Context(), s.ID)
		return err == nil && s.VerificationStatus.LastError != ""
	})
	if v := s.VerificationStatus; s.State != "pending" || v.Attempts != 0 || v.NextAttempt == nil || !strings.HasPrefix(v.LastError, "proxy_error") {
		t.Errorf("it is %s, %+v", s.State, v)
	}
	over := r.subscribe("/told", "note.*")
	if _, err := r.admin().Update(t.Context(), over.ID, client.Patch{"notify_end": true}); err != nil {
		t.Fatal(err)
	}
	if err := r.admin().Delete(t.Context(), over.ID); err != nil {
		t.Fatal(err)
	}
	failed := `rowhook_end_notices_total{result="failed"}`
	eventually(t, "it was to be told", func() bool { return r.metric(failed) > 0 })
	eventually(t, "it is not given up", func() bool {
		var attempts int
		err := r.conn.QueryRow(t.Context(), `select attempts from rowhook.ending where due_at > now()`).Scan(&attempts)
		if err == nil && attempts != 0 {
			t.Fatalf("%d attempts", attempts)
		}
		return err == nil
	})
}
