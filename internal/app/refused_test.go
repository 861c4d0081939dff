package app_test

import (
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/app"
)

// TestAMappingThatDoesNotFitMakesNothing refuses a column that is not there, and leaves nothing: no slot that would hold the log, and no store.
func TestAMappingThatDoesNotFitMakesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.text = strings.Replace(r.text, "email: ${email}", "email: ${emial}", 1)
	a, err := app.New(r.load(), app.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	err = a.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), `config.yaml:28:16`) || !strings.Contains(err.Error(), `"email"`) {
		t.Errorf("got %v", err)
	}
	var n int
	if err := r.conn.QueryRow(t.Context(), `select (select count(*) from pg_replication_slots where slot_name = $1) + (select count(*) from pg_publication) +
			(select count(*) from pg_namespace where nspname = 'rowhook')`, r.slot).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d slots, publications and schemas were made, %v", n, err)
	}
}
