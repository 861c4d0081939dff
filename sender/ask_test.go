package sender_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// echoing answers with what the request has to have answered, as answer makes it.
func echoing(answer func(value string) hooktest.Answer) hooktest.Script {
	return func(q hooktest.Request) hooktest.Answer {
		value := q.Header.Get(sender.SecretHeader)
		if query, err := url.ParseQuery(q.Query); err == nil && value == "" {
			value = query.Get("challenge")
		}
		return answer(value)
	}
}

func inHeader(status int, change func(string) string) hooktest.Script {
	return echoing(func(value string) hooktest.Answer {
		return hooktest.Status(status).With(sender.SecretHeader, change(value))
	})
}

func inBody(before, after string) hooktest.Script {
	return echoing(func(value string) hooktest.Answer { return hooktest.Answer{Body: before + value + after} })
}

// TestVerify is a table of targets.
func TestVerify(t *testing.T) {
	t.Parallel()
	same := func(s string) string { return s }
	const secretly, challenge = subscriptions.VerifySecret, subscriptions.VerifyChallenge
	tests := []struct {
		name, kind string
		script     hooktest.Script
		verdict    sender.Verdict
		reason     string
		agreed     bool
	}{
		{"Echo", secretly, inHeader(200, same), sender.Delivered, "", true},
		{"EchoNoContent", secretly, inHeader(204, same), sender.Delivered, "", true},
		{"NoEcho", secretly, hooktest.Always(hooktest.OK()), sender.Delivered, "", false},
		{"WrongEcho", secretly, inHeader(200, strings.ToLower), sender.Retry, sender.ReasonNotConfirmed, false},
		{"HalfAnEcho", secretly, inHeader(200, func(s string) string { return s[:len(s)-1] }), sender.Retry, sender.ReasonNotConfirmed, false},
		{"EchoOfARefusal", secretly, inHeader(403, same), sender.Retry, sender.ReasonHTTPStatus, false},
		{"EchoInTheBody", secretly, inBody("", ""), sender.Delivered, "", false},
		{"Redirect", secretly, echoing(func(value string) hooktest.Answer {
			return hooktest.Redirect(307, "/elsewhere").With(sender.SecretHeader, value)
		}), sender.Retry, sender.ReasonHTTPStatus, false},
		{"Gone", secretly, inHeader(410, same), sender.Gone, sender.ReasonHTTPStatus, false},
		{"Hang", secretly, hooktest.Always(hooktest.Hang()), sender.Retry, sender.ReasonTimeout, false},
		{"Reset", secretly, hooktest.Always(hooktest.Reset()), sender.Retry, sender.ReasonConnectionReset, false},
		{"Garbage", secretly, hooktest.Always(hooktest.Garbage()), sender.Retry, sender.ReasonInvalidResponse, false},

		{"Plain", challenge, inBody("", ""), sender.Delivered, "", true},
		{"PlainWithSpace", challenge, inBody(" ", "\r\n"), sender.Delivered, "", true},
		{"JSON", challenge, inBody(` {"challenge": "`, `"}`), sender.Delivered, "", true},
		{"JSONWithMore", challenge, inBody(`{"ok": true, "challenge": "`, `"}`), sender.Delivered, "", true},
		{"Form", challenge, inBody("ok=1&challenge=", ""), sender.Delivered, "", true},
		{"Inside", challenge, inBody("<p>you asked for challenge=", "</p>"), sender.Retry, sender.ReasonNotConfirmed, false},
		{"OtherMember", challenge, inBody(`{"answer": "`, `"}`), sender.Retry, sender.ReasonNotConfirmed, false},
		{"Empty", challenge, hooktest.Always(hooktest.OK()), sender.Retry, sender.ReasonNotConfirmed, false},
		{"PlainIn500", challenge, echoing(func(value string) hooktest.Answer { return hooktest.Answer{Status: 500, Body: value} }), sender.Retry, sender.ReasonHTTPStatus, false},
		{"PlainIn410", challenge, echoing(func(value string) hooktest.Answer { return hooktest.Answer{Status: 410, Body: value} }), sender.Gone, sender.ReasonHTTPStatus, false},
		{"Header", challenge, inHeader(200, same), sender.Retry, sender.ReasonNotConfirmed, false},
		{"Late", challenge, inBody(strings.Repeat(" ", 64<<10), ""), sender.Retry, sender.ReasonNotConfirmed, false},
		{"JustInTime", challenge, inBody(strings.Repeat(" ", 60<<10), ""), sender.Delivered, "", true},
		{"Endless", challenge, hooktest.Always(hooktest.Endless()), sender.Retry, sender.ReasonNotConfirmed, false},
		{"Drips", challenge, echoing(func(value string) hooktest.Answer { return hooktest.Drip(value, time.Second) }), sender.Retry, sender.ReasonTimeout, false},
	}
	d := run(t, testConfig(), newMemory().open())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := hooktest.New(t, tt.script)
			r.Handle("/elsewhere", func(hooktest.Request) hooktest.Answer {
				t.Error("the redirect was followed")
				return hooktest.OK()
			})
			s := newSubscription(1, r.URL("/hook?a=b"))
			if tt.reason == sender.ReasonTimeout {
				short := subscriptions.Duration(2 * time.Second) // in which a request surely begins
				s.Delivery.Timeout = &short
			}
			s.Verification = tt.kind
			const value = subscriptions.ValuePrefix + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			out, agreed := d.Verify(t.Context(), s, value, 3)
			if out.Verdict != tt.verdict || out.Reason != tt.reason || agreed != tt.agreed {
				t.Errorf("got %d %s (%s), agreed %t; want %d %s, %t", out.Verdict, out.Reason, out.Detail, agreed, tt.verdict, tt.reason, tt.agreed)
			}
			if strings.Contains(out.Detail+string(out.Answer), value) {
				t.Errorf("the outcome tells the value: %+v", out)
			}
			q := r.Requests()[0]
			if err := q.Verify(testSecret); err != nil || q.Type != sender.VerificationType || q.Attempt != 3 {
				t.Errorf("%s: %v", q, err)
			}
			wantMethod, wantQuery, wantSecret := "POST", "a=b", value
			if tt.kind == challenge {
				wantMethod, wantQuery, wantSecret = "GET", "a=b&challenge="+value, ""
			} else if string(q.Data()) != `{"subscription":"sub_1"}` {
				t.Errorf("the body is %s", q.Body)
			}
			if q.Method != wantMethod || q.Query != wantQuery || q.Header.Get(sender.SecretHeader) != wantSecret {
				t.Errorf("%s ?%s with the secret %q", q, q.Query, q.Header.Get(sender.SecretHeader))
			}
		})
	}
}

// TestVerifyIsGuarded: what deliveries may not reach, no other request does.
func TestVerifyIsGuarded(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	cfg := testConfig()
	cfg.Accounts = sender.Guard{AllowHTTP: true}
	d := run(t, cfg, newMemory().open())
	s := newSubscription(1, r.URL("/"))
	s.Verification = subscriptions.VerifyChallenge
	if out, agreed := d.Verify(t.Context(), s, "rhv_x", 1); agreed || out.Reason != sender.ReasonBlockedAddress {
		t.Errorf("asked: %+v", out)
	}
	if out := d.TellEnd(t.Context(), s, 1); out.Reason != sender.ReasonBlockedAddress {
		t.Errorf("told: %+v", out)
	}
	if n := r.Connections(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
	s.Admin, s.Account = true, ""
	if out := d.TellEnd(t.Context(), s, 1); out.Verdict != sender.Delivered {
		t.Errorf("the admin's: %+v", out)
	}
}

// TestTellEnd is a signed DELETE without a body, with the credentials of the target.
func TestTellEnd(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	d := run(t, testConfig(), newMemory().open())
	s := newSubscription(1, strings.Replace(r.URL("/hook?a=b"), "://", "://user:pass@", 1))
	if out := d.TellEnd(t.Context(), s, 2); out.Verdict != sender.Delivered || out.Status != 200 {
		t.Fatalf("%+v", out)
	}
	q := r.Requests()[0]
	if err := q.Verify(testSecret); err != nil || q.Method != "DELETE" || q.Query != "a=b" || len(q.Body) > 0 || q.Type != sender.EndType || q.Attempt != 2 ||
		q.Header.Get("Authorization") != "Basic dXNlcjpwYXNz" || q.Header.Get("Content-Type") != "" {
		t.Errorf("%s %v: %v", q, q.Header, err)
	}
}
