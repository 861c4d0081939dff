package app_test

import (
	"net/http"
	"testing"
)

// TestPathsThatNoTextHolds are ids that Postgres cannot take as text: there is nothing by that name.
func TestPathsThatNoTextHolds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	for _, id := range []string{"%00", "%ff", "a%00b", "%ed%a0%80"} {
		for _, c := range []struct{ method, path string }{
			{"GET", "/subscription/" + id + "/"}, {"DELETE", "/subscription/" + id + "/"}, {"POST", "/subscription/" + id + "/confirm"},
			{"POST", "/subscription/" + id + "/ping"}, {"POST", "/subscription/" + id + "/enable"}, {"DELETE", "/token/" + id + "/"}, {"GET", "/dead-letter/" + id + "/"},
			{"GET", "/event-type/" + id + "/sample"}, {"GET", "/subscription/?after=" + id}, {"GET", "/token/?after=" + id}, {"GET", "/dead-letter/?after=" + id},
			{"GET", "/event-type/contact.create/sample?account=" + id}, {"GET", "/subscription/?account=" + id},
			{"GET", "/dead-letter/?resource=" + id},
		} {
			req, err := http.NewRequestWithContext(t.Context(), c.method, r.api+"/api/v1"+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer admin-token-0123456789")
			req.Header.Set("X-Hook-Secret", "rhv_ZWKPWJ5ARBRWFG4IPXT7QGFHQO")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode >= 500 {
				t.Errorf("%s %s = %d", c.method, c.path, resp.StatusCode)
			}
		}
	}
}
