package hooktest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestARequestSaysWhatItsBodySays, also when whoever unpacks it has put another one there.
func TestARequestSaysWhatItsBodySays(t *testing.T) {
	t.Parallel()
	recv := hooktest.New(t)
	answer, err := http.Post(recv.URL("/"), "application/json", strings.NewReader(`{"type":"contact.create","data":{"id":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	got := recv.Wait(t, 1, hooktest.Patience)[0]
	for range 2 {
		if got.Instance() != "contact/1" || string(got.Data()) != `{"id":1}` {
			t.Errorf("it is about %q and says %s", got.Instance(), got.Data())
		}
	}
	other := got
	other.Body = []byte(`{"type":"contact.create","data":{"id":2}}`)
	if other.Instance() != "contact/2" || got.Instance() != "contact/1" {
		t.Errorf("with another body it is about %q, and the first about %q", other.Instance(), got.Instance())
	}
	split := hooktest.Split([]hooktest.Request{{Body: []byte(`[{"type":"contact.create","data":{"id":3}},{"type":"contact.create","data":{"id":4}}]`)}})
	if len(split) != 2 || split[0].Instance() != "contact/3" || split[1].Instance() != "contact/4" {
		t.Errorf("the batch is split into %v", split)
	}
}
