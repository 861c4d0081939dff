package app_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// browsing is what browsers do at two rowhooks of one store.
type browsing struct {
	*rig
	at []string
}

// ask sends a request with the cookie, which is called by the port that it is sent to.
func (b *browsing) ask(at int, method, path, cookie, body string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.at[at]+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if cookie != "" {
		req.AddCookie(&http.Cookie{Name: "rowhook-" + req.URL.Port(), Value: cookie})
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, string(text)
}

func (b *browsing) logIn(token string) string {
	b.t.Helper()
	resp, body := b.ask(0, "POST", "/session", "", fmt.Sprintf(`{"token":%q}`, token))
	if resp.StatusCode != http.StatusOK || len(resp.Cookies()) != 1 {
		b.t.Fatalf("log in: %d %s", resp.StatusCode, body)
	}
	return resp.Cookies()[0].Value
}

// logOut says how the browser was answered, which has forgotten the cookie in any case.
func (b *browsing) logOut(at int, cookie string, want int) string {
	b.t.Helper()
	resp, body := b.ask(at, "DELETE", "/session", cookie, "")
	if c := resp.Cookies(); resp.StatusCode != want || len(c) != 1 || c[0].Value != "" || c[0].MaxAge >= 0 {
		b.t.Errorf("log out: %d %s %v, want %d", resp.StatusCode, body, c, want)
	}
	return body
}

func (b *browsing) want(what string, status int, cookie, path string) {
	b.t.Helper()
	for at := range b.at {
		if resp, body := b.ask(at, "GET", path, cookie, ""); resp.StatusCode != status {
			b.t.Errorf("%s: GET %s at rowhook %d = %d %s, want %d", what, path, at, resp.StatusCode, body, status)
		}
	}
}

// TestLogOut: with a store of its own, what a log-out makes there, and what browsers are told while its server is down.
func TestLogOut(t *testing.T) {
	t.Parallel()
	srv := pgtest.Cluster(t, nil)
	r := newRig(t)
	at := srv.Database(t)
	r.text += "store: {url: '" + at + "'}\n"
	b := &browsing{rig: r}
	r.start()
	b.at = append(b.at, r.api)
	r.insertContact(1, 1)
	r.begin()
	b.at = append(b.at, r.api)
	one, same := b.logIn("admin-token-0123456789"), b.logIn("admin-token-0123456789")
	eventually(t, "the standby has opened the store", func() bool {
		resp, _ := b.ask(1, "GET", "/subscription/", one, "")
		return resp.StatusCode == http.StatusOK
	})
	made, err := r.admin().CreateToken(t.Context(), client.NewToken{Account: "1"})
	if err != nil {
		t.Fatal(err)
	}
	own, ownSame := b.logIn(made.Token), b.logIn(made.Token)
	rows := func() (n int) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		if err := conn.QueryRow(t.Context(), `select count(*) from rowhook.ended_session`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}

	// What is no session makes no row.
	for _, cookie := range []string{"", "x", one[:len(one)-4], one[:60] + "AAAA" + one[64:], base64.StdEncoding.EncodeToString(make([]byte, 80))} {
		b.logOut(0, cookie, http.StatusNoContent)
	}
	if n := rows(); n != 0 {
		t.Errorf("%d sessions that never were have ended", n)
	}

	b.want("a session", http.StatusOK, one, "/subscription/")
	b.logOut(0, one, http.StatusNoContent)
	b.logOut(1, own, http.StatusNoContent)
	for _, path := range []string{"/subscription/", "/session"} {
		b.want("a copy of the cookie", http.StatusUnauthorized, one, path)
		b.want("a copy of a made token's cookie", http.StatusUnauthorized, own, path)
		b.want("another session of the token", http.StatusOK, same, path)
		b.want("another session of a made token", http.StatusOK, ownSame, path)
	}
	b.want("a copy of the cookie", http.StatusUnauthorized, one, "/status")
	// Once more is no more, and neither is what is over for another reason.
	b.logOut(0, one, http.StatusNoContent)
	if err := r.admin().DeleteToken(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	b.logOut(0, ownSame, http.StatusNoContent)
	if n := rows(); n != 2 {
		t.Errorf("%d sessions have ended, want 2", n)
	}

	if err := srv.Shutdown(pgtest.Fast, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	b.want("what needs the store, without it", http.StatusServiceUnavailable, same, "/subscription/")
	if resp, body := b.ask(0, "POST", "/pause", same, "{}"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a change by whom nobody can check: %d %s", resp.StatusCode, body)
	}
	b.want("what is wrong, without the store", http.StatusOK, same, "/status")
	b.want("who that is, without the store", http.StatusOK, same, "/session")
	if body := b.logOut(0, same, http.StatusServiceUnavailable); !strings.Contains(body, "the store could not be told") {
		t.Errorf("a log-out without the store is told %s", body)
	}
	b.logOut(0, "x", http.StatusNoContent)
	if err := srv.StartAgain(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the store is back", func() bool {
		resp, _ := b.ask(0, "DELETE", "/session", same, "")
		return resp.StatusCode == http.StatusNoContent
	})
	eventually(t, "both ask the store again", func() bool {
		resp, _ := b.ask(1, "GET", "/session", same, "")
		return resp.StatusCode == http.StatusUnauthorized
	})
	b.want("logged out after all", http.StatusUnauthorized, same, "/session")
}

// TestLogOutAfterARestart: a store that does not answer, and does not refuse either, and what is known after a restart.
func TestLogOutAfterARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := &browsing{rig: r}
	stop := r.start()
	b.at = []string{r.api}
	const token = "admin-token-0123456789"
	one, two, three := b.logIn(token), b.logIn(token), b.logIn(token)
	b.logOut(0, one, http.StatusNoContent)
	tx, err := r.conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `lock table rowhook.ended_session`); err != nil {
		t.Fatal(err)
	}
	b.want("of a session that nobody has ended", http.StatusOK, three, "/status")
	b.want("of the same", http.StatusServiceUnavailable, three, "/subscription/")
	b.logOut(0, two, http.StatusServiceUnavailable)
	b.want("of a session that was ended here", http.StatusUnauthorized, two, "/status")
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the store is asked again", func() bool {
		resp, _ := b.ask(0, "GET", "/subscription/", three, "")
		return resp.StatusCode == http.StatusOK
	})
	b.logOut(0, two, http.StatusNoContent) // who has kept a copy can tell again
	stop()
	r.start()
	b.at = []string{r.api}
	b.want("ended before a restart", http.StatusUnauthorized, one, "/session")
	b.want("ended before a restart, with trouble", http.StatusUnauthorized, two, "/session")
	b.want("not ended", http.StatusOK, three, "/subscription/")
}
