package api_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/subscriptions"
)

// madeTokens are tokens in memory.
type madeTokens struct {
	mu   sync.Mutex
	all  []*subscriptions.Token
	hash map[[sha256.Size]byte]string
	fail error
}

func (m *madeTokens) CreateToken(_ context.Context, t *subscriptions.Token, hash [sha256.Size]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hash == nil {
		m.hash = map[[sha256.Size]byte]string{}
	}
	t.CreatedAt = time.Now().UTC()
	m.all, m.hash[hash] = append(m.all, t), t.ID
	return m.fail
}

func (m *madeTokens) FindToken(_ context.Context, hash [sha256.Size]byte) (*subscriptions.Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	for _, t := range m.all {
		if t.ID == m.hash[hash] && (t.ExpiresAt.IsZero() || t.ExpiresAt.After(time.Now())) {
			return t, nil
		}
	}
	return nil, subscriptions.ErrTokenNotFound
}

func (m *madeTokens) ListTokens(_ context.Context, after string, limit int) ([]*subscriptions.Token, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := slices.IndexFunc(m.all, func(t *subscriptions.Token) bool { return t.ID == after })
	if after != "" && from < 0 {
		return nil, false, subscriptions.ErrTokenNotFound
	}
	rest := m.all[from+1:]
	return rest[:min(limit, len(rest))], len(rest) > limit, m.fail
}

func (m *madeTokens) DeleteToken(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.all)
	m.all = slices.DeleteFunc(m.all, func(t *subscriptions.Token) bool { return t.ID == id })
	if len(m.all) == n {
		return subscriptions.ErrTokenNotFound
	}
	return m.fail
}

// TestTokensThatAreMade let in as what they were made for, until they end.
func TestTokensThatAreMade(t *testing.T) {
	t.Parallel()
	made := &madeTokens{}
	b := start(t, func(c *api.Config) { c.Made = made })
	admin := b.client(tokenAdmin)
	own := make1(t, b.client(tokenOne))
	create := func(n client.NewToken) *client.Token {
		t.Helper()
		tok, err := admin.CreateToken(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(tok.Token, "rht_") || tok.Account != n.Account || tok.ReadOnly != n.ReadOnly || (tok.ExpiresAt == nil) != (n.ExpiresIn == "") {
			t.Errorf("made %+v of %+v", tok, n)
		}
		return tok
	}
	one, read, two := create(client.NewToken{Account: "1"}), create(client.NewToken{Account: "1", ReadOnly: true, ExpiresIn: "1h"}), create(client.NewToken{Account: "2", Name: "two's"})
	all := create(client.NewToken{Account: "*", ReadOnly: true})
	for _, c := range []struct {
		token, method, path string
		want                int
	}{
		{one.Token, "GET", own.ID, 200}, {one.Token, "PATCH", own.ID, 200}, {read.Token, "GET", own.ID, 200}, {read.Token, "HEAD", own.ID, 200},
		{read.Token, "PATCH", own.ID, 403}, {read.Token, "DELETE", own.ID, 403}, {read.Token, "DELETE", "sub_none", 403},
		{two.Token, "GET", own.ID, 404}, {two.Token, "PATCH", own.ID, 404}, {all.Token, "GET", own.ID, 200}, {all.Token, "PATCH", own.ID, 403},
		{"rht_none", "GET", own.ID, 401}, {one.Token + "x", "GET", own.ID, 401}, {one.ID, "GET", own.ID, 401},
	} {
		if resp, body := b.do(t, c.method, "/api/v1/subscription/"+c.path, c.token, "application/json", `{"name": "x"}`); resp.StatusCode != c.want {
			t.Errorf("%s %s: %s %s", c.method, c.path, resp.Status, body)
		}
	}
	for _, token := range []string{tokenOne, one.Token, two.Token} {
		for _, c := range [][2]string{{"GET", "token/"}, {"POST", "token/"}, {"DELETE", "token/" + two.ID}, {"DELETE", "token/tok_none"}, {"POST", "resume"}} {
			if resp, body := b.do(t, c[0], "/api/v1/"+c[1], token, "application/json", `{"account": "2"}`); resp.StatusCode != 403 || strings.Contains(body, two.ID) {
				t.Errorf("a customer's %s %s: %s %s", c[0], c[1], resp.Status, body)
			}
		}
	}
	if resp, _ := b.do(t, "POST", "/api/v1/token/", all.Token, "application/json", `{"account": "2"}`); resp.StatusCode != 403 {
		t.Errorf("an admin's token that may only read makes another one: %s", resp.Status)
	}
	n := 0
	for tok, err := range b.client(all.Token).Tokens(t.Context()) {
		if err != nil || tok.Token != "" {
			t.Errorf("listed %+v, %v", tok, err)
		}
		n++
	}
	if n != 4 {
		t.Errorf("%d tokens are listed", n)
	}
	if err := admin.DeleteToken(t.Context(), one.ID); err != nil {
		t.Error(err)
	}
	if err := admin.DeleteToken(t.Context(), one.ID); status(err) != 404 {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := b.client(one.Token).Get(t.Context(), own.ID); status(err) != 401 {
		t.Errorf("with a token that was deleted: %v", err)
	}
	made.mu.Lock()
	made.all[0].ExpiresAt = time.Now().Add(-time.Second)
	made.fail = fmt.Errorf("no store: %w", subscriptions.ErrUnavailable)
	made.mu.Unlock()
	if resp, _ := b.do(t, "GET", "/api/v1/subscription/", two.Token, "", ""); resp.StatusCode != 503 {
		t.Errorf("without the store: %s", resp.Status)
	}
	if resp, _ := b.do(t, "GET", "/api/v1/subscription/", tokenTwo, "", ""); resp.StatusCode != 200 {
		t.Errorf("a token of the config without the store: %s", resp.Status)
	}
	for body, field := range map[string]string{
		`{}`: "account", `{"account": ""}`: "account", `{"account": 7}`: "account", `{"account": "*"}`: "account", `{"account": "1", "expires_in": "0s"}`: "expires_in",
		`{"account": "1", "expires_in": 3600}`: "expires_in", `{"account": "1", "read_only": "yes"}`: "read_only", `{"acount": "1"}`: "acount",
	} {
		if resp, text := b.do(t, "POST", "/api/v1/token/", tokenAdmin, "application/json", body); resp.StatusCode != 422 || !strings.Contains(text, `"field":"`+field+`"`) {
			t.Errorf("%s: %s %s", body, resp.Status, text)
		}
	}
	for _, tok := range []*client.Token{one, read, two, all} {
		if strings.Contains(b.log.String(), tok.Token) {
			t.Error("the log tells a token")
		}
	}
}

// TestAccountsAreBounded: one customer's loop, or hoard, is not everybody's.
func TestAccountsAreBounded(t *testing.T) {
	t.Parallel()
	b := start(t, func(c *api.Config) { c.AccountSubscriptions, c.AccountRate = 2, 0.0001 })
	slow := func(token string) *http.Response {
		resp, _ := b.do(t, "GET", "/api/v1/subscription/", token, "", "")
		return resp
	}
	if resp := slow(tokenOne); resp.StatusCode != 200 {
		t.Errorf("the first request: %s", resp.Status)
	}
	if resp := slow(tokenOne); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" || resp.Header.Get("Retry-After") == "0" {
		t.Errorf("the second request: %s, Retry-After %s", resp.Status, resp.Header.Get("Retry-After"))
	}
	for range 3 {
		if resp := slow(tokenAdmin); resp.StatusCode != 200 {
			t.Errorf("the admin: %s", resp.Status)
		}
	}
	if resp := slow(tokenTwo); resp.StatusCode != 200 {
		t.Errorf("another customer: %s", resp.Status)
	}

	b = start(t, func(c *api.Config) { c.AccountSubscriptions = 2 })
	first := make1(t, b.client(tokenOne))
	make1(t, b.client(tokenOne))
	if resp, body := b.do(t, "POST", "/api/v1/subscription/", tokenOne, "application/json", wanted); resp.StatusCode != 422 || !strings.Contains(body, "too-many-subscriptions") {
		t.Errorf("the third: %s %s", resp.Status, body)
	}
	make1(t, b.client(tokenTwo))
	if resp, body := b.do(t, "POST", "/api/v1/subscription/", tokenAdmin, "application/json", `{"account": "1", `+wanted[1:]); resp.StatusCode != 201 {
		t.Errorf("the admin's third: %s %s", resp.Status, body)
	}
	for _, s := range []string{first.ID} {
		if err := b.client(tokenOne).Delete(t.Context(), s); err != nil {
			t.Error(err)
		}
	}
}
