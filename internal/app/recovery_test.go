package app_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestResourcesReorderedAfterACrash restarts with other resources on the same table, in another order, while what was
// sent before is not acknowledged: some of it is delivered, some due, some under way.
func TestResourcesReorderedAfterACrash(t *testing.T) {
	t.Parallel()
	const rows = 20
	resource := func(name string) string {
		return "  " + name + ":\n    table: contacts\n    representation: {kind: " + name + ", id: \"${id}\"}\n"
	}
	r := newRig(t)
	head, _, _ := strings.Cut(r.text, "resources:\n")
	head = strings.Replace(head, "limits: {hold: 500ms}", "limits: {hold: 10m}", 1)
	head = strings.Replace(head, "timeout: 2s", "timeout: 60s", 1)
	head = strings.Replace(head, "retries: [100ms, ", "retries: [5s, ", 1)
	r.text = head + "resources:\n" + resource("contact") + resource("person")
	r.recv.Handle("/due", hooktest.Always(hooktest.Status(500)))
	r.recv.Handle("/hangs", hooktest.Always(hooktest.Hang()))
	cmd := r.spawn()
	r.subscribe("/delivered", "contact.*")
	r.subscribe("/due", "person.*")
	r.subscribe("/hangs")
	for i := 1; i <= rows; i++ {
		r.insertContact(i, 1)
	}
	eventually(t, "some is delivered, some due", func() bool {
		var delivered, due int
		if err := r.conn.QueryRow(t.Context(), `select (select count(*) from rowhook.delivery), (select count(*) from rowhook.due)`).Scan(&delivered, &due); err != nil {
			t.Fatal(err)
		}
		return delivered == rows && due == rows
	})
	kill(t, cmd)
	r.recv.Handle("/due", nil)
	r.recv.Handle("/hangs", nil)
	r.text = head + "resources:\n" + resource("person") + resource("extra") + resource("contact")
	r.spawn()
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		got := hooktest.ByPath(hooktest.Delivered(q))
		return len(distinct(got["/hangs"])) == 3*rows && len(distinct(got["/due"])) == rows
	})
	// Of all attempts: an id has one kind of body and one position, before and after.
	type face struct{ body, position string }
	faces := map[string]face{}
	for _, q := range all {
		kind, _, _ := strings.Cut(q.Type, ".")
		if !strings.Contains(string(q.Body), fmt.Sprintf(`"kind":%q`, kind)) {
			t.Errorf("%s has the body %s", q.Type, q.Body)
		}
		f := face{string(q.Body), q.Position}
		if was, ok := faces[q.ID]; ok && was != f {
			t.Errorf("%s was %v and is %v", q.ID, was, f)
		}
		faces[q.ID] = f
	}
	if len(faces) != 3*rows {
		t.Errorf("%d events, want %d", len(faces), 3*rows)
	}
	// What was recorded is recognised.
	if got := hooktest.ByPath(all)["/delivered"]; len(got) != rows {
		t.Errorf("%d requests to the target that had everything, want %d", len(got), rows)
	}
	positions := map[string]string{}
	for id, f := range faces {
		if other, ok := positions[f.position]; ok {
			t.Errorf("%s and %s are both at %s", id, other, f.position)
		}
		positions[f.position] = id
	}
}

// TestCoalesceChangedAfterACrash restarts with coalesce: false while what was sent before is not acknowledged. The ids are
// others then, so it comes once more; nothing is lost, and nothing takes another's place.
func TestCoalesceChangedAfterACrash(t *testing.T) {
	t.Parallel()
	const rows = 12
	r := newRig(t)
	r.far()
	r.text = strings.Replace(r.text, "resources:", "resources:\n  entry: {table: notes, columns: all}", 1)
	r.recv.Handle("/hangs", hooktest.Always(hooktest.Hang()))
	cmd := r.spawn()
	r.subscribe("/delivered", "entry.*")
	r.subscribe("/hangs", "note.*", "entry.*")
	for i := range rows {
		r.transaction(fmt.Sprintf(`insert into notes values (%d, 'a')`, i), fmt.Sprintf(`update notes set body = 'b' where id = %d`, i))
	}
	r.becomes("all is delivered to one", `select count(*) = 12 from rowhook.delivery where status = 1`)
	kill(t, cmd)
	r.recv.Release()
	r.recv.Handle("/hangs", nil)
	r.text = strings.Replace(r.text, "{table: notes, columns: all}", "{table: notes, columns: all, coalesce: false}", 1)
	r.spawn()
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		seen := map[string]int{}
		for _, q := range hooktest.Delivered(q) {
			seen[q.Path+" "+q.Type]++
		}
		return seen["/delivered entry.update"] >= rows && seen["/hangs entry.update"] >= rows && seen["/hangs note.create"] >= rows
	})
	positions := map[string]string{}
	for _, q := range all {
		if id, ok := positions[q.Position]; ok && id != q.ID {
			t.Errorf("%s and %s are both at %s", q.ID, id, q.Position)
		}
		positions[q.Position] = q.ID
	}
	for instance, q := range hooktest.ByInstance(hooktest.Delivered(all)) {
		_, id, _ := strings.Cut(instance, "/")
		if last := string(q[len(q)-1].Data()); last != `{"id":`+id+`,"body":"b"}` {
			t.Errorf("%s ends as %s", instance, last)
		}
	}
	// The other resource is as it was: what was sent before has the same ids.
	notes := map[string]string{}
	for _, q := range all {
		if q.Type == "note.create" && notes[q.Instance()] != "" && notes[q.Instance()] != q.ID {
			t.Errorf("%s has two ids", q.Instance())
		}
		if q.Type == "note.create" {
			notes[q.Instance()] = q.ID
		}
	}
	if len(notes) != rows {
		t.Errorf("%d notes", len(notes))
	}
}

// distinct are the ids of the requests.
func distinct(q []hooktest.Request) map[string]bool {
	ids := map[string]bool{}
	for _, x := range q {
		ids[x.ID] = true
	}
	return ids
}
