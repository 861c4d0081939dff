package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/secret"
)

func TestStringIsNeverShown(t *testing.T) {
	t.Parallel()
	type holder struct {
		Password secret.String
		Tokens   []secret.String
	}
	h := holder{Password: "hunter2", Tokens: []secret.String{"hunter2"}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "password", h.Password, "holder", h)
	encoded, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		fmt.Sprint(h), fmt.Sprintf("%v %+v %#v %s %q", h, h, h, h.Password, h.Password), log.String(), string(encoded),
		fmt.Errorf("open %s", h.Password).Error(),
	} {
		if strings.Contains(shown, "hunter2") {
			t.Errorf("secret shown in %s", shown)
		}
	}
	if got := h.Password.Reveal(); got != "hunter2" {
		t.Errorf("Reveal() = %q", got)
	}
}
