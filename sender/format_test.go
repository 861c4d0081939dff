package sender

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenEvents are one of each kind.
func goldenEvents() map[string]*mapping.Event {
	base := func(kind, data string) *mapping.Event {
		return &mapping.Event{ID: "evt_pwuk2pnbs3ms6slb535qaef6re", Type: "contact." + kind, Resource: "contact", Instance: "42",
			Position: cdc.Position{Epoch: 1, Commit: 0x16B3748, Ordinal: 3}, Time: time.Date(2026, 11, 22, 1, 0, 0, 123456000, time.UTC), Data: []byte(data)}
	}
	const row = `{"id":42,"name":"Ada & <Žluťoučký> 😀","total":10.00,"vip":true,"company":null,"address":{"city":"Bremen","zip":"28195"},` +
		`"tags":["a b","c"],"lines":[{"sku":"A-1","n":2},{"sku":"B-1","n":1}],"none":[],"nothing":{}}`
	all := map[string]*mapping.Event{
		"create":   base("create", row),
		"update":   base("update", row),
		"delete":   base("delete", `{"id":42}`),
		"truncate": base("truncate", `null`),
		"business": base("won", row),
		"partial":  base("update", `{"id":42}`),
		"backfill": base("create", row),
	}
	all["backfill"].Position.Sub = mapping.BackfilledFrom
	all["update"].Previous = []byte(`{"address":{"city":"Hamburg"},"tags":[]}`)
	all["update"].Context = []byte(`{"source":"zapier","actor":"u7"}`)
	all["truncate"].Instance = ""
	all["partial"].Partial = []string{"body", `od"d, c`}
	notice := func(kind, data string) *mapping.Event {
		e := base("", data)
		e.Type, e.Resource, e.Instance = "rowhook."+kind, mapping.NoticeResource, ""
		return e
	}
	all["ping"] = notice("ping", `{"subscription":"sub_1"}`)
	all["gap"] = notice("gap", `{"reason":"slot_lost","from":null,"to":"2026-11-22T07:10:44Z","resources":null}`)
	return all
}

func goldenEnvelope() Envelope {
	return Envelope{Subscription: "sub_s4gfrbe74abr2t6lqk6uias3i7", Target: "https://***@example.com/hooks?a=b&c=d", Source: SourceOf("crm of/acme"),
		Location: func(resource, instance string) string { return "https://api.example.com/" + resource + "s/" + instance }}
}

// TestFormatsAreAsTheyWere compares the bytes of each format, as JSON and as a form, with golden files. A new kind of event is
// a new file: go test ./sender -run TestFormats -update.
func TestFormatsAreAsTheyWere(t *testing.T) {
	t.Parallel()
	events := goldenEvents()
	for name, ev := range events {
		var got bytes.Buffer
		for _, f := range Formats() {
			for _, custom := range []string{"", `{"tenant":"acme <1>","position":"mine","number":1.10,"flag":false}`} {
				in := goldenEnvelope()
				in.custom = f.customMembers([]byte(custom))
				body := f.Append(nil, ev, in)
				if !json.Valid(body) {
					t.Errorf("%s %s is not JSON: %s", name, f.Name, body)
				}
				form, err := appendForm(nil, body)
				if err != nil {
					t.Errorf("%s %s: %v", name, f.Name, err)
				}
				what := ""
				if custom != "" {
					what = " with custom_data"
				}
				fmt.Fprintf(&got, "== %s%s\n%s\n%s\n", f.Name, what, body, form)
			}
		}
		path := filepath.Join("testdata", "format", name+".txt")
		if *update {
			if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got.Bytes(), want)
		}
	}
	files, err := filepath.Glob("testdata/format/*.txt")
	if err != nil || len(files) != len(events) {
		t.Errorf("%d files for %d events: %v", len(files), len(events), err)
	}
}

// TestBatchesAreAsTheyWere compares the bytes of an array of all kinds of events, and its id, in each format that has batches.
func TestBatchesAreAsTheyWere(t *testing.T) {
	t.Parallel()
	events := goldenEvents()
	var messages []*mapping.Event
	for i, name := range slices.Sorted(maps.Keys(events)) {
		ev := *events[name]
		ev.ID = fmt.Sprintf("evt_%026d", i+1)
		ev.Position.Ordinal = uint32(i + 1)
		messages = append(messages, &ev)
	}
	var got bytes.Buffer
	for _, f := range Formats() {
		if f.Name == subscriptions.FormatRepresentation {
			continue // it has no batches
		}
		for _, maxBody := range []int{0, 300} {
			x := &shape{format: f, in: goldenEnvelope(), maxBody: maxBody}
			x.in.batch = true
			var a attempt
			a.gather(messages)
			body, omitted, err := x.content(&a, new([]byte))
			if err != nil || omitted {
				t.Errorf("%s: data is said to be left out of the whole: %t, %v", f.Name, omitted, err)
			}
			var all []map[string]any
			if err := json.Unmarshal(body, &all); err != nil || len(all) != len(messages) {
				t.Fatalf("%s is no array of %d: %v: %s", f.Name, len(messages), err, body)
			}
			for i, m := range all {
				if m["id"] != messages[i].ID || m["position"] != messages[i].Position.String() {
					t.Errorf("%s: message %d has the id %v and the position %v", f.Name, i, m["id"], m["position"])
				}
			}
			what := ""
			if maxBody > 0 {
				what = fmt.Sprintf(" with max_body %d", maxBody)
			}
			fmt.Fprintf(&got, "== %s%s\n%s: %s, %s\n%s\n", f.Name, what, a.event.ID, a.event.Type, f.BatchType, body)
		}
	}
	const path = "testdata/batch.txt"
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got\n%s\nwant\n%s", got.Bytes(), want)
	}
}

// TestStandardIsTheFormatOfTheShortWay: who asks for custom_data gets the same body as who asks for nothing, and that beside.
func TestStandardIsTheFormatOfTheShortWay(t *testing.T) {
	t.Parallel()
	for name, ev := range goldenEvents() {
		if got, want := formatOf("standard").Append(nil, ev, Envelope{}), AppendStandard(nil, ev); !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%s, want\n%s", name, got, want)
		}
	}
	var names []string
	for _, f := range Formats() {
		names = append(names, f.Name)
	}
	if !slices.Equal(names, subscriptions.Formats) {
		t.Errorf("there are %v, and subscriptions may ask for %v", names, subscriptions.Formats)
	}
}

// TestCloudEventsAreValid checks the rules of CloudEvents 1.0 and of its JSON format, by which its libraries refuse events.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/cloudevents.json
func TestCloudEventsAreValid(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^[a-z0-9]{1,20}$`)
	for kind, ev := range goldenEvents() {
		f, in := formatOf("cloudevents"), goldenEnvelope()
		in.custom = f.customMembers([]byte(`{"tenant":"acme","specversion":"2","data":1,"n":7,"yes":true}`))
		var all map[string]any
		if err := json.Unmarshal(f.Append(nil, ev, in), &all); err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(f.Append(nil, ev, in)), `"data":`) != 1 {
			t.Errorf("%s: data comes twice", kind)
		}
		if all["specversion"] != "1.0" || all["id"] != ev.ID || all["source"] != "/rowhook/crm%20of%2Facme" || all["type"] != ev.Type ||
			all["datacontenttype"] != "application/json" || all["tenant"] != "acme" {
			t.Errorf("%s: %v", kind, all)
		}
		if _, err := time.Parse(time.RFC3339Nano, all["time"].(string)); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if subject, ok := all["subject"]; ok != (ev.Instance != "") || ok && subject != ev.Instance {
			t.Errorf("%s: subject %v", kind, subject)
		}
		for attribute, v := range all {
			if attribute == "data" {
				continue
			}
			if !name.MatchString(attribute) {
				t.Errorf("%s: %q is no name of an attribute", kind, attribute)
			}
			switch v := v.(type) {
			case string:
				if v == "" {
					t.Errorf("%s: %s is empty", kind, attribute)
				}
			case bool, float64:
			default:
				t.Errorf("%s: %s is %v", kind, attribute, v)
			}
		}
	}
}

// TestNoFormatHidesWhatRowhookTells: of a gap, its time and reason are in every body.
func TestNoFormatHidesWhatRowhookTells(t *testing.T) {
	t.Parallel()
	for _, f := range Formats() {
		if body := f.Append(nil, goldenEvents()["gap"], goldenEnvelope()); !strings.Contains(string(body), `"reason":"slot_lost"`) {
			t.Errorf("%s: %s", f.Name, body)
		}
	}
}
