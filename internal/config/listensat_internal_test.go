package config

import (
	"net/url"
	"testing"
)

func TestListensAt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		listen, url string
		want        bool
	}{
		{"127.0.0.1:8080", "http://127.0.0.1:8080", true},
		{"127.0.0.1:8080", "http://localhost:8080", true},
		{"[::1]:8080", "http://[::1]:8080", true},
		{":80", "http://localhost", true},
		{"0.0.0.0:8080", "http://127.0.0.1:8080", true},
		{"localhost:8080", "http://localhost:8080", true},
		{"127.0.0.1:8080", "http://127.0.0.1:3000", false},
		{"127.0.0.1:8080", "http://127.0.0.2:8080", false},
		{"127.0.0.1:8080", "http://app:8080", false},
		{":8080", "http://app:8080", false},
		{":8080", "http://10.0.0.7:8080", false},
		{"10.0.0.1:8080", "http://localhost:8080", false},
		{":443", "https://localhost", false},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := listensAt(c.listen, u); got != c.want {
			t.Errorf("%s at %s: %t", c.url, c.listen, got)
		}
	}
}
