package config

import (
	"fmt"
	"net/netip"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/application"
	"github.com/rowhook/rowhook/internal/retention"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// file describes the whole file: every key, what it takes, where it goes and what it means. The decoder and the schema
// both follow it.
var file = object[Config]{
	closed: false,
	check:  checkProxy,
	members: []member[Config]{
		must(key("database", databaseObject, func(c *Config) *Database { return &c.Database },
			"The Postgres database whose changes become webhooks."), `database: {url: "${env:DATABASE_URL}"}`),
		key("store", storeObject, func(c *Config) *Store { return &c.Store },
			"Where subscriptions, events and deliveries are kept. By default a schema of the same database."),
		key("app", appObject, func(c *Config) *App { return &c.App },
			"The application whose data this is."),
		key("api", apiObject, func(c *Config) *API { return &c.API },
			"The REST API through which subscriptions are made."),
		key("proxy", proxyObject, func(c *Config) *Proxy { return &c.Proxy },
			"A reverse proxy before the application: subscriptions are one more resource of its API there, behind its own login. Needs app.url. Default: no proxy."),
		key("delivery", deliveryObject, func(c *Config) *Delivery { return &c.Delivery },
			"How webhooks are sent. These are the defaults; a subscription can set its own timeout, retries, ordering, debounce, rate_limit and max_body."),
		key("retention", retentionObject, func(c *Config) *Retention { return &c.Retention },
			"How long what was sent is kept."),
		key("limits", limitsObject, func(c *Config) *Limits { return &c.Limits },
			"What rowhook may use."),
		key("json", rulesObject, func(c *Config) *mapping.Rules { return &c.Mapping.JSON },
			"How the types of Postgres are written: as what your API is made with writes them."),
		must(key("resources", kind[[]mapping.Resource](resourceMap{item: resourceObject}), func(c *Config) *[]mapping.Resource { return &c.Mapping.Resources },
			"The things of your API, by name, each tied to a table. Their events are called contact.create, contact.update, contact.delete."),
			"resources: {contact: {table: contacts, columns: all}}"),
	},
}

var databaseObject = object[Database]{
	closed: true,
	members: []member[Database]{
		must(key("url", postgresURL("${env:DATABASE_URL}", "postgres://rowhook:secret@db.internal:5432/app"),
			func(d *Database) *secret.String { return &d.URL },
			"Connection string of the source: direct, not through a pooler. The role needs LOGIN, REPLICATION and SELECT on the mapped tables."),
			"url: ${env:DATABASE_URL}"),
		key("read_url", postgresURL("${env:READ_URL}", "postgres://rowhook:secret@standby.internal:5432/app"),
			func(d *Database) *secret.String { return &d.ReadURL },
			"Connection string for reading rows that the stream does not have: those of relations and of backfills, and large values that did not change. The same database: the source itself, or a standby that replays its log. The role needs SELECT on the tables. Default: database.url."),
		key("slot", slotName(), func(d *Database) *string { return &d.Slot },
			"Name of the replication slot. Made at the first start if the role may."),
		key("publication", identifier("a publication name"), func(d *Database) *string { return &d.Publication },
			"Name of the publication. Made at the first start, for the mapped tables, if the role may."),
		key("environment", environmentName(), func(d *Database) *string { return &d.Environment },
			"Where this is: production, staging. A store that was made in another environment starts paused, so that a copy of the database sends nothing. Default: host, port and name of the database."),
		key("max_wal_lag", size(64<<20, 1<<50), func(d *Database) *int64 { return &d.MaxWALLag },
			"How much WAL the slot may keep on the server: at least 64MiB. At half of it rowhook warns, beyond it readiness is red and says what holds it. Nothing is dropped."),
	},
}

var storeObject = object[Store]{
	check: checkStore,
	members: []member[Store]{
		key("url", postgresURL("${env:ROWHOOK_STORE_URL}"), func(s *Store) *secret.String { return &s.URL },
			"Connection string of the database that keeps subscriptions, events and deliveries. Default: database.url."),
		key("schema", schemaName(), func(s *Store) *string { return &s.Schema },
			"Schema of rowhook's own tables. It is rowhook's alone."),
		key("encryption_key", sealingKey(), func(s *Store) *secret.String { return &s.EncryptionKey },
			"Key that seals signing secrets, targets, headers and logins in the store: 32 bytes in base64 or hex. Make one with: openssl rand -base64 32. Without it they are stored in the clear."),
		key("previous_encryption_keys", list[secret.String]{item: sealingKey(), max: 10}, func(s *Store) *[]secret.String { return &s.PreviousKeys },
			"Keys that open what was sealed with them, until it is sealed with encryption_key, which a start does."),
	},
}

var appObject = object[App]{
	members: []member[App]{
		key("url", httpURL("http://127.0.0.1:3000"), func(a *App) *string { return &a.URL },
			"Address at which rowhook reaches the application, for the proxy, ${api.…} and rowhook compare. No default."),
		key("public_url", httpURL("https://api.example.com"), func(a *App) *string { return &a.PublicURL },
			"Address at which customers reach the application: with path, the url of thin bodies. No default."),
		key("headers", kind[[]application.Header](headersKind{}), func(a *App) *[]application.Header { return &a.Headers },
			"Headers of every request to app.url: the login whose answers rowhook reads. It should see every instance. The values are secrets: nothing shows them."),
	},
}

var apiObject = object[API]{
	members: []member[API]{
		key("listen", listenAddress(), func(a *API) *string { return &a.Listen },
			"Address to listen at, host:port."),
		key("base_path", basePath(), func(a *API) *string { return &a.BasePath },
			"Path that the API's routes are under: /api/v1/subscription/."),
		key("tokens", list[Token]{item: tokenObject, check: checkTokens}, func(a *API) *[]Token { return &a.Tokens },
			"Who may use the API. Default: nobody."),
		key("accounts", apiAccountsObject, func(a *API) *APIAccounts { return &a.Accounts },
			"What each customer may ask of it. The admin is not bounded."),
		key("show_answers", truth(), func(a *API) *bool { return &a.ShowAnswers },
			"Let customers see what their targets answered to failed attempts. The admin always sees it."),
		key("console", truth(), func(a *API) *bool { return &a.Console },
			"Serve the console at /console/: pages that use the API, for people who log in with a token."),
		key("trusted_networks", list[netip.Prefix]{item: network(), show: showPrefix}, func(a *API) *[]netip.Prefix { return &a.TrustedNetworks },
			"Networks of the gateways before it: what they say in X-Forwarded-For and X-Forwarded-Proto counts when somebody logs in to the console. Default: none."),
	},
}

var apiAccountsObject = object[APIAccounts]{
	members: []member[APIAccounts]{
		key("subscriptions", count(0, 1000000), func(a *APIAccounts) *int { return &a.Subscriptions },
			"How many subscriptions a customer may have; 0: any number."),
		key("requests_per_second", count(0, 1000000), func(a *APIAccounts) *int { return &a.RequestsPerSecond },
			"How many requests a customer may send in a second, twice as many at once; 0: any number. Counted by each rowhook for itself."),
	},
}

var tokenObject = object[Token]{
	closed: true,
	members: []member[Token]{
		must(key("name", matching("a token name", tokenName, "use letters, digits, . _ and -, at most 63", "ops"),
			func(t *Token) *string { return &t.Name },
			"What logs call the caller. Each name once."), "name: ops"),
		must(key("token", tokenText(), func(t *Token) *secret.String { return &t.Token },
			"The token itself, at least 16 characters, sent as Authorization: Bearer. Make one with: openssl rand -hex 24."),
			"token: ${env:ROWHOOK_TOKEN}"),
		must(key("account", checked("text", `write "*" for the admin, or the customer's id in quotes`, accountText, "*", "42"), func(t *Token) *string { return &t.Account },
			"The customer whom the caller acts for, as the account of a resource gives it; \"*\" is the admin, who sees every account."),
			`account: "*" for the admin, or the customer's id in quotes`),
	},
}

var deliveryObject = object[Delivery]{
	check: checkDelivery,
	members: []member[Delivery]{
		key("timeout", duration(100*time.Millisecond, time.Minute), func(d *Delivery) *time.Duration { return &d.Timeout },
			"Time that one attempt may take, connecting and the answer's headers included: 100ms to 60s."),
		key("retries", list[time.Duration]{
			item: duration(time.Nanosecond, 7*day), max: maxRetries, show: func(d time.Duration) any { return showDuration(d) },
		}, func(d *Delivery) *[]time.Duration { return &d.Retries },
			"The waits before each retry; their number is the number of retries. At most 20, each at most 7d. An empty list: no retries."),
		key("ordering", choice(OrderingResource, OrderingNone), func(d *Delivery) *string { return &d.Ordering },
			"resource: the events of one instance reach a subscription in commit order. none: an event that is being retried holds back no other."),
		key("debounce", duration(0, time.Hour), func(d *Delivery) *time.Duration { return &d.Debounce },
			"How long changes of one instance are gathered, from the first that was not sent, and sent to a subscription as one: 1s to 1h. 0s: not at all."),
		key("max_in_flight", count(1, 65535), func(d *Delivery) *int { return &d.MaxInFlight },
			"How many requests may be under way at once, in all, with those whose success is not yet written down: so many may be repeated after a crash. A batch is one of them."),
		key("rate_limit", rate(), func(d *Delivery) *subscriptions.Rate { return &d.RateLimit },
			"How many requests in a time each subscription's target gets, retries among them: 10/s, 600/m, 5000/h; 1/h to 10000/s, or none for no limit."),
		key("max_body", size(0, 1<<30), func(d *Delivery) *int64 { return &d.MaxBody },
			"How large a message may be before its data is left out, which it says: a subscriber asks the API then. 0: any size. Not for the format representation, which is nothing but data."),
		key("allow_http", truth(), func(d *Delivery) *bool { return &d.Targets.AllowHTTP },
			"Let the admin's subscriptions have targets that are not https."),
		key("allow_networks", list[netip.Prefix]{item: network(), show: showPrefix}, func(d *Delivery) *[]netip.Prefix { return &d.Targets.AllowNetworks },
			"Networks that are not public, which the admin's subscriptions may have targets in."),
		key("accounts", accountsObject, func(d *Delivery) *Targets { return &d.Accounts },
			"The same for the subscriptions of customers. Never more than what the admin's may have."),
		key("egress_proxy", egressProxy(), func(d *Delivery) *secret.String { return &d.Egress.Proxy },
			"A proxy that all connections to targets leave through, by CONNECT: http or https, with user and password. Names are resolved and checked here; the proxy is asked for the address. Its own address is not checked. The value is secret. Default: none, also where the environment names one."),
		key("tls", egressTLSObject, func(d *Delivery) *sender.Egress { return &d.Egress },
			"What https targets are trusted by, and what they may ask for."),
	},
}

var accountsObject = object[Targets]{
	members: []member[Targets]{
		key("allow_http", truth(), func(t *Targets) *bool { return &t.AllowHTTP },
			"Let customers' subscriptions have targets that are not https. Needs delivery.allow_http."),
		key("allow_networks", list[netip.Prefix]{item: network(), show: showPrefix}, func(t *Targets) *[]netip.Prefix { return &t.AllowNetworks },
			"Networks that are not public, which customers' subscriptions may have targets in: part of delivery.allow_networks. Your customers can then reach what is in there."),
	},
}

var retentionObject = object[Retention]{
	members: []member[Retention]{
		key("for", duration(retention.Shortest, 3650*day), func(r *Retention) *time.Duration { return &r.For },
			"How long events and finished deliveries are kept: at least 1h."),
		key("events", choice(KeepMatched, KeepAll), func(r *Retention) *string { return &r.Events },
			"Which events are kept: those that a subscription has matched, or all. With all, the list of events has everything that happened to what is mapped, at the cost of a stored event for each."),
	},
}

var limitsObject = object[Limits]{
	members: []member[Limits]{
		key("memory", size(1<<20, 1<<40), func(l *Limits) *int64 { return &l.Memory },
			"Memory for the bodies of events under way: at least 1MiB."),
		key("hold", duration(100*time.Millisecond, time.Hour-time.Nanosecond), func(l *Limits) *time.Duration { return &l.Hold },
			"How long an event may wait in memory for its first attempt before it is written to the store, and WAL may be freed: at least 100ms, less than 1h."),
		key("max_row", size(64<<10, 1<<40), func(l *Limits) *int64 { return &l.MaxRow },
			"The largest row that is taken: at least 64KiB. A larger one stops the stream, which says so."),
	},
}

var resourceObject = object[mapping.Resource]{
	closed: true,
	check:  checkResource,
	members: []member[mapping.Resource]{
		must(key("table", kind[mapping.Resource](tableKind{tableName()}), itself[mapping.Resource],
			"The table: contacts (in the schema public), app.contacts, or '\"My Schema\".\"My Table\"'."), "table: contacts"),
		key("key", kind[[]mapping.Source](keyKind{orderKind{columnText()}}), func(r *mapping.Resource) *[]mapping.Source { return &r.Key },
			"The columns that name an instance, instead of the primary key: one, or a list in the order of the name. They are NOT NULL, and a unique index is over them. Deletes need them in the replica identity."),
		key("account", kind[*mapping.Source](expressionKind{hint: "name the column that holds the customer's id", examples: []any{"account_id", "string(tenant_id)"}}),
			func(r *mapping.Resource) **mapping.Source { return &r.Account },
			"Expression over the row that gives the customer whom an instance belongs to, most often just a column. Without it, the events are the admin's only."),
		key("path", kind[*mapping.Source](pathKind{examples: []any{"/contacts/${id}"}}),
			func(r *mapping.Resource) **mapping.Source { return &r.Path },
			"The resource's address under app.url and app.public_url, with ${…} for the row's values, which are percent-encoded. Needed for ${api.…} and rowhook compare."),
		key("representation", kind[*yaml.Node](representationKind{}), func(r *mapping.Resource) **yaml.Node { return &r.Representation },
			"What is sent: paste what your API returns for one instance, and put ${column} or ${expression} where a value comes from the row. Either this or columns."),
		key("columns", kind[mapping.Resource](columnsKind{columnNames()}), itself[mapping.Resource],
			"Instead of a representation: the columns to send, in this order and under their own names, or all. Default, for a resource without account: all."),
		key("except", columnNames(), func(r *mapping.Resource) *[]mapping.Source { return &r.Except },
			"With columns: all, the columns that are not sent."),
		key("where", condition(`kind == "person"`), func(r *mapping.Resource) **mapping.Source { return &r.Where },
			"Condition over the row: rows for which it does not hold are no instances. A row that comes to hold it is created, one that ceases is deleted. Needs the old row: REPLICA IDENTITY FULL, or its columns in the identity."),
		key("delete_when", condition("deleted_at != null"), func(r *mapping.Resource) **mapping.Source { return &r.DeleteWhen },
			"Condition over the row under which it counts as deleted: soft deletes become deletes, undoing one a create. Needs the old row likewise."),
		key("ignore_changes", columnNames(), func(r *mapping.Resource) *[]mapping.Source { return &r.IgnoreChanges },
			"Columns whose change alone is no update, where the old row is known: updated_at, counters."),
		key("coalesce", kind[bool](coalesceKind{truth()}), func(r *mapping.Resource) *bool { return &r.EachChange },
			"Whether the changes of an instance in one transaction are one event: what they come to. With false each change is an event of its own. Default: true."),
		key("events", kind[[]mapping.NamedEvent](eventsKind{}), func(r *mapping.Resource) *[]mapping.NamedEvent { return &r.Events },
			"Events of the resource's own, by name: contact.won, each with the condition over the row, and the old row, under which it is sent beside a create or an update."),
		key("relations", kind[[]mapping.Relation](relationMap{}), func(r *mapping.Resource) *[]mapping.Relation { return &r.Relations },
			"Rows of other tables, by name, that the representation names as it does columns: ${company}, ${tags}. They are read when there is an event for somebody, as they are then."),
		key("json", kind[mapping.Rules](rulesAgain{rulesObject}), func(r *mapping.Resource) *mapping.Rules { return &r.JSON },
			"The same as the file's json, for this resource alone: its rules go over the file's, a preset replaces them all."),
	},
}

var relationObject = object[mapping.Relation]{
	closed: true,
	check:  checkRelation,
	members: []member[mapping.Relation]{
		must(key("table", kind[mapping.Relation](relatedTableKind{tableName()}), itself[mapping.Relation],
			"The other table, or a view. Without touch it need not be published; the role of database.read_url needs SELECT on it."), "table: companies"),
		key("foreign_key", kind[*mapping.Source](columnRef{columnText()}), func(r *mapping.Relation) **mapping.Source { return &r.ForeignKey },
			"The column that ties the rows: ours, which holds the other table's primary key; with many, the other table's, which holds ours. Either this or join."),
		key("join", kind[[]mapping.JoinColumn](joinKind{columnText()}), func(r *mapping.Relation) *[]mapping.JoinColumn { return &r.Join },
			"Instead, where the key has several columns or is not the primary key: each column of the other table with the column of ours that it is equal to."),
		key("many", truth(), func(r *mapping.Relation) *bool { return &r.Many },
			"A list of all rows, at most 1,000. Without it, the first row, or null."),
		key("order_by", kind[[]mapping.Source](orderKind{columnText()}), func(r *mapping.Relation) *[]mapping.Source { return &r.OrderBy },
			"With many: a column of the other table to order by, or a list of such, each with desc after it or not. Equal ones are ordered by the primary key."),
		key("representation", kind[*yaml.Node](representationKind{}), func(r *mapping.Relation) **yaml.Node { return &r.Representation },
			"What a row of the other table becomes: any tree, as a resource's; ${name} alone for a list of names. Either this or columns."),
		key("columns", kind[mapping.Relation](relatedColumnsKind{columnsKind{columnNames()}}), itself[mapping.Relation],
			"Instead of a representation: columns of the other table under their own names, or all; new ones join when the config is loaded again."),
		key("except", columnNames(), func(r *mapping.Relation) *[]mapping.Source { return &r.Except },
			"With columns: all, the columns that are not sent."),
		key("touch", truth(), func(r *mapping.Relation) *bool { return &r.Touch },
			"Whether a row of the other table that is inserted, changed, moved or deleted is an update of ours, once per transaction. The table is published then, and the join's columns have to be in its replica identity, for deletes and moves. Default: false."),
		key("relations", kind[[]mapping.Relation](relationMap{}), func(r *mapping.Relation) *[]mapping.Relation { return &r.Relations },
			"Relations of the other table's rows: through a join table, or further on."),
	},
}

func condition(example string) kind[*mapping.Source] {
	return expressionKind{hint: "write a condition, as in " + example, examples: []any{example}}
}

// rulesObject takes the names and values of rules from package mapping.
var rulesObject = object[mapping.Rules]{
	members: []member[mapping.Rules]{
		rule("preset", func(r *mapping.Rules) *string { return &r.Preset },
			"What your API is made with: all rules at once. Others go over it."),
		rule("timestamp", func(r *mapping.Rules) *string { return &r.Timestamp },
			"The fraction of timestamps: six digits, three, none, as many as are not zero, or six or none (isoformat). Default: microseconds."),
		rule("timestamp_zone", func(r *mapping.Rules) *string { return &r.TimestampZone },
			"What stands behind a timestamp without time zone: nothing, or what says that it is UTC. Default: none."),
		rule("date", func(r *mapping.Rules) *string { return &r.Date },
			"A date as a date, or as the midnight that it begins with. Default: date."),
		rule("numeric", func(r *mapping.Rules) *string { return &r.Numeric },
			"A numeric as a string or number of its digits, or a string without zeros at the end. Default: string."),
		rule("bigint", func(r *mapping.Rules) *string { return &r.Bigint },
			"A bigint as a number or a string. Default: number."),
		rule("bytea", func(r *mapping.Rules) *string { return &r.Bytea },
			"Bytes as base64, hex, hex as Postgres writes it, or the object that a Buffer of Node becomes. Default: base64."),
		rule("interval", func(r *mapping.Rules) *string { return &r.Interval },
			"P3DT4H, seconds, whole_seconds (with a month of 30.4 days, a year of 365.2), clock: 3 04:00:00, or an object of its parts. Default: iso8601."),
		rule("uuid", func(r *mapping.Rules) *string { return &r.UUID },
			"A uuid with its hyphens, or without. Default: hyphens."),
		rule("range", func(r *mapping.Rules) *string { return &r.Range },
			"A range as Postgres writes it, as {lower, upper, bounds}, as dots: 1...6, or as that object in a string. Default: text."),
		rule("composite", func(r *mapping.Rules) *string { return &r.Composite },
			"A composite value as Postgres writes it, or as an object of its attributes. Default: text."),
		rule("geometry", func(r *mapping.Rules) *string { return &r.Geometry },
			"A PostGIS geometry or geography as hex of its EWKB, or as GeoJSON. Default: hex."),
		rule("keys", func(r *mapping.Rules) *string { return &r.Keys },
			"The case of the names that columns and attributes of composites give to members; those of a representation stay. Default: columns, as they are."),
	},
}

func rule(name string, of func(*mapping.Rules) *string, doc string) member[mapping.Rules] {
	return key(name, choice(mapping.RuleValues(name)...), of, doc)
}

func itself[T any](v *T) *T { return v }

func showPrefix(p netip.Prefix) any { return p.String() }

const maxRetries = 20

// item is the path of a list's value.
func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
