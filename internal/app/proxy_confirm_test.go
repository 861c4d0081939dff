package app_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestStrangersBehindAGateway do not use up what others may send to confirm.
func TestStrangersBehindAGateway(t *testing.T) {
	t.Parallel()
	cfg := proxyConfig(t, application(t), "postgres://rowhook@"+hooktest.FreeAddress(t)+"/away", "s")
	cfg.Proxy.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	p := startProxied(t, cfg, true)
	confirm := func(client, id string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.front+"/api/v1/subscription/"+id+"/confirm", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", client)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for n := 0; confirm("203.0.113.9", "sub_x") != http.StatusTooManyRequests; n++ {
		if n == 200 {
			t.Fatal("a stranger may ask without end")
		}
	}
	for n := range 100 {
		confirm("203.0.113.9", "sub_"+string(rune('a'+n%26)))
	}
	if status := confirm("198.51.100.1", "sub_other"); status != http.StatusNotFound {
		t.Errorf("another one gets %d", status)
	}
}
