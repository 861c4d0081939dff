package identity

import (
	"errors"
	"net/http"
	"net/netip"
	"testing"
)

// TestHeader is the table of who may say who calls.
func TestHeader(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Header: &Header{
		Name: "x-account-id", AllowHeader: "X-May-Write",
		From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
	}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const in, out = "10.1.2.3:4567", "192.0.2.7:4567"
	for _, tt := range []struct {
		name, peer string
		headers    []string
		want       Identity
		status     int
		left       int // headers that the application gets to see
	}{
		{"Gateway", in, []string{"X-Account-Id", "42", "X-May-Write", "true"}, Identity{"42", true}, 0, 2},
		{"SmallLetters", in, []string{"x-account-id", "42", "x-may-write", "TRUE"}, Identity{"42", true}, 0, 2},
		{"IPv6", "[fd00::1]:1", []string{"X-Account-Id", "42", "X-May-Write", "true"}, Identity{"42", true}, 0, 2},
		{"Mapped", "[::ffff:10.1.2.3]:1", []string{"X-Account-Id", "42", "X-May-Write", "true"}, Identity{"42", true}, 0, 2},
		{"Zone", "[fd00::1%eth0]:1", []string{"X-Account-Id", "42", "X-May-Write", "true"}, Identity{"42", true}, 0, 2},
		{"Reader", in, []string{"X-Account-Id", "42", "X-May-Write", "false"}, Identity{"42", false}, 0, 2},
		{"NothingAllows", in, []string{"X-Account-Id", "42"}, Identity{"42", false}, 0, 1},
		{"AllowedTwice", in, []string{"X-Account-Id", "42", "X-May-Write", "false", "X-May-Write", "true"}, Identity{"42", false}, 0, 2},
		{"Empty", in, []string{"X-Account-Id", ""}, Identity{}, 403, 1},
		{"Admin", in, []string{"X-Account-Id", "*"}, Identity{}, 403, 1},
		{"Twice", in, []string{"X-Account-Id", "7", "X-Account-Id", "42"}, Identity{}, 403, 1},
		{"None", in, nil, Identity{}, 401, 0},
		{"DottedName", out, []string{"X.Account.Id", "42", "x!may~write", "true"}, Identity{}, 401, 0},
		{"AnotherName", in, []string{"X_Account_Id", "42"}, Identity{}, 401, 0},
		{"BesideAnotherName", in, []string{"X-Account-Id", "42", "X_account-ID", "7", "X-May_Write", "true"}, Identity{"42", false}, 0, 1},
		{"Elsewhere", out, []string{"X-Account-Id", "42", "X-May-Write", "true"}, Identity{}, 401, 0},
		{"ElsewhereAlike", out, []string{"X_Account_Id", "42", "x_may-write", "true"}, Identity{}, 401, 0},
		{"ClaimsToBeInside", out, []string{"X-Account-Id", "42", "X-Forwarded-For", "10.1.2.3", "X-Real-Ip", "10.1.2.3", "Forwarded", "for=10.1.2.3"}, Identity{}, 401, 3},
		{"Socket", "@", []string{"X-Account-Id", "42"}, Identity{}, 401, 0},
		{"NoPeer", "", []string{"X-Account-Id", "42"}, Identity{}, 401, 0},
		{"NoPort", "10.1.2.3", []string{"X-Account-Id", "42"}, Identity{}, 401, 0},
		{"Near", "11.0.0.1:1", []string{"X-Account-Id", "42"}, Identity{}, 401, 0},
	} {
		r := from()
		r.RemoteAddr = tt.peer
		for i := 0; i < len(tt.headers); i += 2 {
			r.Header.Add(tt.headers[i], tt.headers[i+1])
		}
		r.Trailer = http.Header{"X-Account-Id": {"7"}}
		// Without Strip too.
		if id, err := s.Who(r); tt.status == 401 && err == nil {
			t.Errorf("%s: got %+v, %v without Strip", tt.name, id, err)
		}
		s.Strip(r)
		got, err := s.Who(r)
		var e *Error
		if got != tt.want || errors.As(err, &e) && e.Status != tt.status || (err != nil) != (tt.status > 0) {
			t.Errorf("%s: got %+v, %v", tt.name, got, err)
		}
		if len(r.Header) != tt.left {
			t.Errorf("%s: the application gets %v", tt.name, r.Header)
		}
	}
}

// TestHeaderAlone lets all write whom the gateway names.
func TestHeaderAlone(t *testing.T) {
	t.Parallel()
	s, _ := New(Config{Header: &Header{Name: "X-Account-Id", From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}, Options{})
	r := from("X-Account-Id", " 42 ", "Other", "1")
	r.RemoteAddr = "10.0.0.1:1"
	s.Strip(r)
	if got, err := s.Who(r); got != (Identity{"42", true}) || err != nil || len(r.Header) != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}
