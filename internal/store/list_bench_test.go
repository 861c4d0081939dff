package store

import (
	"testing"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/subscriptions"
)

// BenchmarkSearch looks through 100,000 subscriptions for what none of them has: all are read.
func BenchmarkSearch(b *testing.B) {
	db := pgtest.Database(b)
	s, conn := open(b, db), connect(b, db)
	subscribe(b, s, "")
	exec(b, conn, `INSERT INTO subscription (id, account, events, target_url, target_host, secrets, delivery, state, name, metadata, since)
		SELECT 'sub_' || md5(n::text), (n % 5000)::text, events, target_url, 'hooks' || n || '.example.com', secrets, delivery, state, 'Customer ' || n, metadata, since
		FROM subscription, generate_series(1, 100000) n WHERE key = (SELECT min(key) FROM subscription)`)
	exec(b, conn, `ANALYZE subscription`)
	for name, q := range map[string]subscriptions.Query{"Nothing": {Search: "nobody"}, "One": {Search: "hooks77777.example"}, "First": {Search: "customer"}} {
		q.Scope, q.Limit = subscriptions.Scope{Admin: true}, 50
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := s.List(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
