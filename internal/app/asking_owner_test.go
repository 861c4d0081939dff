package app_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestTheApplicationsAnswerOfAnotherAccount: what the application says of an instance that was given away before it was
// asked is not for the account that had it.
func TestTheApplicationsAnswerOfAnotherAccount(t *testing.T) {
	t.Parallel()
	app := hooktest.New(t, func(hooktest.Request) hooktest.Answer {
		return hooktest.Answer{Body: `{"note": "of account 2"}`}
	})
	l := docsOn(newRig(t))
	l.exec(`create table things (id int primary key, account_id int, name text); alter table things replica identity full`)
	l.exec(`insert into things values (1, 1, 'mine'), (2, 1, 'mine')`)
	l.text = strings.Replace(l.text, "resources:", "app: {url: "+app.URL("/v1")+"}\nresources:", 1) + `
  thing:
    table: things
    account: account_id
    path: /things/${id}
    representation: {id: '${id}', name: '${name}', note: '${api.note}'}
`
	l.start()
	acme := l.client("acme-token-0123456789")
	if _, err := acme.Create(t.Context(), &client.Subscription{Events: []string{"thing.*"}, TargetURL: l.recv.URL("/acme")}); err != nil {
		t.Fatal(err)
	}
	app.Down()
	l.exec(`update things set name = 'still mine' where id = 1`)
	l.isRed("connection refused")
	l.exec(`update things set name = 'theirs', account_id = 2 where id = 1`)
	l.exec(`update things set name = 'still mine' where id = 2`)
	if err := app.Up(); err != nil {
		t.Fatal(err)
	}
	got := hooktest.ByInstance(l.recv.Wait(t, 3, patience))
	if have := string(got["thing/1"][0].Body); !strings.Contains(have, `"data":{"id":1,"name":"still mine"},"partial":["note"]`) {
		t.Errorf("the account before got %s", have)
	}
	if have := string(got["thing/2"][0].Body); !strings.Contains(have, fmt.Sprintf(`"note":%q`, "of account 2")) {
		t.Errorf("an instance that is the account's still has %s", have)
	}
}

// TestReplayAsksTheApplication: a replayed event has what its resource takes from the application, as any other.
func TestReplayAsksTheApplication(t *testing.T) {
	t.Parallel()
	app := hooktest.New(t, func(hooktest.Request) hooktest.Answer { return hooktest.Answer{Body: `{"note": "n"}`} })
	l := docsOn(newRig(t))
	l.exec(`create table things (id int primary key, account_id int, name text)`)
	l.text = strings.Replace(l.text, "resources:", "app: {url: "+app.URL("/v1")+"}\nresources:", 1) + `
  thing:
    table: things
    account: account_id
    path: /things/${id}
    representation: {id: '${id}', name: '${int(name)}', note: '${api.note}'}
`
	l.start()
	l.subscribe("/", "thing.*")
	l.exec(`insert into things values (1, 1, 'x')`)
	l.buried(1)
	l.replace("${int(name)}", "${name}")
	l.mustReload()
	if _, err := l.admin().ReplayDeadLetters(t.Context(), client.DeadLetterReplay{All: true}); err != nil {
		t.Fatal(err)
	}
	if have := string(l.recv.Wait(t, 1, patience)[0].Body); !strings.Contains(have, `"data":{"id":1,"name":"x","note":"n"}`) {
		t.Errorf("got %s", have)
	}
}
