package mapping

import (
	"strings"
	"sync"
	"testing"

	"github.com/rowhook/rowhook/internal/problem"
)

func formula(t testing.TB, text string) *Formula {
	t.Helper()
	f, problems := ParseFormula("account", &Source{Text: text, At: problem.Place{File: "f", Line: 1, Column: 1}})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFormulaAccount writes accounts as those of resources are written.
func TestFormulaAccount(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ expression, object, want, fails string }{
		{expression: "account.id", object: `{"account":{"id":42}}`, want: "42"},
		{expression: "account.id", object: `{"account":{"id":9223372036854775809}}`, want: "9223372036854775809"},
		{expression: "account.id", object: `{"account":{"id":"0042"}}`, want: "0042"},
		{expression: "account.id", object: `{"account":{"id":0}}`, want: "0"},
		{expression: "account.id", object: `{"account":{"id":""}}`},
		{expression: "account.id", object: `{"account":{"id":null}}`},
		{expression: "account.id", object: `{"account":{}}`},
		{expression: "account.id", object: `{"account":null}`},
		{expression: "account.id", object: `{}`},
		{expression: "account?.id ?? null", object: `{}`},
		{expression: "account", object: `{"account":"é"}`, want: "é"},
		{expression: "account.id", object: `{"account":{"id":true}}`, fails: "gives boolean, not text or a number"},
		{expression: "account.id", object: `{"account":{"id":[1]}}`, fails: "gives list"},
		{expression: "account.id", object: `{"account":{"id":{"hunter2":1}}}`, fails: "gives object"},
		{expression: "account.id", object: `{"account":"hunter2"}`, fails: "has no member"},
		{expression: `$env["https://x/account"]`, object: `{"https://x/account":"7"}`, want: "7"},
		{expression: `old.id`, object: `{"old":{"id":7}}`, want: "7"},
		{expression: `memberships[0].account`, object: `{"memberships":[{"account":7}]}`, want: "7"},
		{expression: `find(memberships, .current).account`, object: `{"memberships":[{"account":7},{"account":8,"current":true}]}`, want: "8"},
		{expression: `kind + ":" + string(id)`, object: `{"kind":"org","id":5}`, want: "org:5"},
		{expression: `id + 1`, object: `{"id":5}`, want: "6"},
		{expression: `let a = id; a`, object: `{"id":5, "a": 6}`, want: "5"},
	} {
		o, ok := ReadObject([]byte(tt.object))
		if !ok {
			t.Fatalf("%s is no object", tt.object)
		}
		got, err := formula(t, tt.expression).Account(o)
		if got != tt.want || (err != nil) != (tt.fails != "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
			t.Errorf("%s over %s is %q, %v, want %q, %q", tt.expression, tt.object, got, err, tt.want, tt.fails)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a value is told: %v", err)
		}
	}
}

// TestFormulaHolds says what a condition is.
func TestFormulaHolds(t *testing.T) {
	t.Parallel()
	const allow = `role in ["owner", "admin"]`
	for _, tt := range []struct {
		expression, object string
		want, fails        bool
	}{
		{allow, `{"role":"owner"}`, true, false},
		{allow, `{"role":"member"}`, false, false},
		{allow, `{"role":null}`, false, false},
		{allow, `{}`, false, false},
		{`"write" in scopes`, `{"scopes":["read","write"]}`, true, false},
		{`scope contains "write"`, `{"scope":"read write"}`, true, false},
		{`admin`, `{"admin":true}`, true, false},
		{`admin`, `{}`, false, false},
		{`admin`, `{"admin":"yes"}`, false, true},
		{`level >= 3`, `{"level":3.0}`, true, false},
		{`!admin`, `{"admin":"yes"}`, false, true},
	} {
		o, _ := ReadObject([]byte(tt.object))
		got, err := formula(t, tt.expression).Holds(o)
		if got != tt.want || (err != nil) != tt.fails {
			t.Errorf("%s over %s is %v, %v", tt.expression, tt.object, got, err)
		}
	}
}

// TestFormulaMistakes tells each with its place.
func TestFormulaMistakes(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		`role = "owner"`:         "f:1:6: in expression `role = \"…\"`: unexpected =\n  hint: compare with ==",
		`uper(role)`:             "f:1:1: there is no function \"uper\"\n  hint: did you mean \"upper\"?",
		`${account.id}`:          "f:1:1: account is an expression and needs no ${…}\n  hint: write account.id",
		``:                       "f:1:1: account is empty\n  hint: name a column, as in account_id",
		`now() > 1`:              "f:1:1: now() is not available here",
		`$env`:                   "$env cannot be used as a whole",
		`upper(role, 1, 2)`:      "f:1:1: ",
		`a.b.`:                   "unexpected end of expression",
		`role matches "(hunter"`: "f:1:6: ",
	} {
		_, problems := ParseFormula("account", &Source{Text: expression, At: problem.Place{File: "f", Line: 1, Column: 1}})
		if err := problems.Err(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s is told as %v, want %s", expression, err, want)
		}
	}
	for _, text := range []string{`[]`, `1`, `null`, `{`, ``, `"x"`} {
		if _, ok := ReadObject([]byte(text)); ok {
			t.Errorf("%s is an object", text)
		}
	}
}

// TestFormulaIsShared by callers who get their own answers.
func TestFormulaIsShared(t *testing.T) {
	t.Parallel()
	f := formula(t, "upper(account.id)")
	var wg sync.WaitGroup
	for _, who := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			o, _ := ReadObject([]byte(`{"account":{"id":"` + who + `"}}`))
			for range 500 {
				if got, err := f.Account(o); got != strings.ToUpper(who) || err != nil {
					t.Errorf("%s got %q, %v", who, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
