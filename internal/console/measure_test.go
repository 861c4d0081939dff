package console_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rowhook/rowhook/client"
)

// TestMeasurePages prints how long pages take to show what they have, with 100,000 subscriptions and 1,000,000 events: make console-bench.
// Nothing is asserted of the times.
func TestMeasurePages(t *testing.T) {
	if os.Getenv("ROWHOOK_CONSOLE_BENCH") == "" {
		t.Skip("takes a minute: make console-bench")
	}
	in := newBrowser(t)
	r := newRig(t)
	r.populate()
	r.exec(`set synchronous_commit = off`)
	// Below the log that there is, as if it had happened before: positions are of epoch 1, and as small as they get.
	r.exec(`insert into rowhook.event (position, committed_at, id, type, resource, instance, account, data, partial, audience)
		select decode('00000001' || lpad(to_hex(n * 16), 16, '0') || '0000000100000000', 'hex'), e.committed_at - (1000001 - n) * interval '1 microsecond',
			'evt_' || left(translate(md5(n::text), '01', 'xy'), 26), e.type, e.resource, (n % 100000)::text, e.account, e.data, e.partial, e.audience
		from rowhook.event e, generate_series(1, 1000000) n where e.position = (select position from rowhook.event where type = 'contact.create' order by 1 limit 1)`)
	r.exec(`insert into rowhook.outcome (subscription, newest, committed_at, oldest, finished_at, packed)
		select s.key, e.position, e.committed_at, e.position, e.committed_at, e.position || '\x0000000100c8000101'
		from rowhook.event e, rowhook.subscription s where s.id = $1 and e.position < '\x0000000100000000010000000000000000000000'`, r.good.ID)
	r.exec(`alter table rowhook.subscription alter column key drop identity`)
	r.exec(`insert into rowhook.subscription select (jsonb_populate_record(s, jsonb_build_object('key', 1000 + n, 'id', 'sub_' || left(translate(md5(n::text), '01', 'xy'), 26), 'name', 'customer ' || n))).*
		from rowhook.subscription s, generate_series(1, 100000) n where s.id = $1`, r.moody.ID)
	// As rowhook does every half minute.
	r.exec(`select brin_summarize_new_values(x.indexrelid::regclass) from pg_inherits i join pg_index x on x.indrelid = i.inhrelid join pg_class c on c.oid = x.indexrelid
		where i.inhparent = 'rowhook.event'::regclass and c.relname like '%_instance'`)
	r.exec(`analyze rowhook.event, rowhook.outcome, rowhook.subscription`)
	var events, subscriptions int
	if err := r.conn.QueryRow(t.Context(), `select (select count(*) from rowhook.event), (select count(*) from rowhook.subscription)`).Scan(&events, &subscriptions); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%d events, %d subscriptions\n", events, subscriptions)

	var delivery string
	for d, err := range r.client(adminToken).Deliveries(t.Context(), r.good.ID, client.DeliveryFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		delivery = d.ID
		break
	}
	p := newPlainPage(t, in, r.at)
	p.login(adminToken)
	for _, path := range []string{
		"/", "/subscriptions", "/subscriptions?search=customer+99999", "/subscriptions?search=nobody", "/subscriptions?state=disabled", "/subscriptions?account=1", "/subscriptions/new", "/subscriptions/" + r.good.ID, "/subscriptions/" + r.bad.ID + "/waiting",
		"/deliveries/" + delivery, "/events", "/events?resource=contact&resource_id=42", "/events?resource=contact&resource_id=no-such", "/resources", "/resources/contact", "/dead-letters", "/system",
	} {
		var all []float64
		for range 5 {
			p.open(path)
			p.calm()
			// The end of the last answer that the page is made of, or the moment in which most of it was painted.
			all = append(all, value[float64](p, `new Promise((done) => { let painted = 0;
				new PerformanceObserver((l) => { for (const e of l.getEntries()) painted = e.startTime; }).observe({type: "largest-contentful-paint", buffered: true});
				requestAnimationFrame(() => setTimeout(() => done(Math.max(painted, ...performance.getEntriesByType("resource").filter((e) => e.name.includes("/api/v1/")).map((e) => e.responseEnd))), 50)); })`))
		}
		slices.Sort(all)
		fmt.Printf("%-60s median %4.0f ms, worst of %d %4.0f ms\n", path, all[len(all)/2], len(all), all[len(all)-1])
	}
}

// newPlainPage is a tab as people have it, with what the browser keeps between visits: nothing is counted or listened to in it, which takes as long
// again as the pages do.
func newPlainPage(t testing.TB, in context.Context, base string) *page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(in)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	p := &page{t: t, ctx: ctx, base: base}
	p.size(1280, 900)
	return p
}
