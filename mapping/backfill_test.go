package mapping

import "testing"

// TestBackfilledID: one for each job, resource and instance, whose texts cannot be taken for each other's.
func TestBackfilledID(t *testing.T) {
	t.Parallel()
	m := &Mapper{ids: identifier{lineage: "db"}}
	seen := map[string]string{}
	for _, x := range [][3]string{{"job_1", "contact", "1"}, {"job_2", "contact", "1"}, {"job_1", "deal", "1"}, {"job_1", "contact", "2"}, {"job_1", "contact", ""}, {"job_", "1contact", "1"}} {
		id := m.BackfilledID(x[0], x[1], x[2])
		if other := seen[id]; other != "" || len(id) != 30 || id != m.BackfilledID(x[0], x[1], x[2]) {
			t.Errorf("%v: %s is that of %s", x, id, other)
		}
		seen[id] = x[0] + x[1] + x[2]
	}
	if other := (&Mapper{ids: identifier{lineage: "other"}}).BackfilledID("job_1", "contact", "1"); seen[other] != "" {
		t.Error("another database has the same id")
	}
}
