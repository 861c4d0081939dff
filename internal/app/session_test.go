package app

import (
	"testing"

	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/internal/secret"
)

// TestSessionKeys: who opens what another process has sealed.
func TestSessionKeys(t *testing.T) {
	t.Parallel()
	one, two := seal.NewKey(), seal.NewKey()
	with := func(key secret.String, previous []secret.String, tokens ...secret.String) *seal.Keys {
		c := &config.Config{Store: config.Store{EncryptionKey: key, PreviousKeys: previous}}
		for _, text := range tokens {
			c.API.Tokens = append(c.API.Tokens, config.Token{Token: text})
		}
		return (&App{ownKey: seal.NewKey()}).sessionKeys(c)
	}
	for name, c := range map[string]struct {
		sealed, opens *seal.Keys
		want          bool
	}{
		"the same key":                     {with(one, nil), with(one, nil), true},
		"another key":                      {with(one, nil), with(two, nil), false},
		"a key with the one before":        {with(one, nil), with(two, []secret.String{one}), true},
		"a key, whatever the tokens":       {with(one, nil, "a"), with(one, nil, "b"), true},
		"the same tokens in another order": {with("", nil, "a", "b"), with("", nil, "b", "a"), true},
		"one token more":                   {with("", nil, "a"), with("", nil, "a", "b"), false},
		"nothing secret":                   {with("", nil), with("", nil), false},
	} {
		got, err := c.opens.Open(c.sealed.Seal("x", "session"), "session")
		if (err == nil && got == "x") != c.want {
			t.Errorf("%s: %q, %v, want %t", name, got, err, c.want)
		}
	}
	// What the store seals is no session, and the other way round: the keys differ.
	store, err := seal.New(one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := with(one, nil).Open(store.Seal("x", "session"), "session"); err == nil {
		t.Error("a session's key is that of the store")
	}
}
