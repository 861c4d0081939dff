package api

import (
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/apidoc"
	"github.com/rowhook/rowhook/subscriptions"
)

// schemaNames are the types that bodies are made of, by what the document calls them.
var schemaNames = map[reflect.Type]string{
	reflect.TypeFor[subscriptions.View]():               "Subscription",
	reflect.TypeFor[subscriptions.DeliveryOptions]():    "Delivery",
	reflect.TypeFor[subscriptions.Batch]():              "Batch",
	reflect.TypeFor[client.Batch]():                     "BatchInput",
	reflect.TypeFor[subscriptions.DisabledReason]():     "DisabledReason",
	reflect.TypeFor[subscriptions.LastAnswer]():         "LastAnswer",
	reflect.TypeFor[subscriptions.Missed]():             "Missed",
	reflect.TypeFor[subscriptions.FilterError]():        "FilterError",
	reflect.TypeFor[subscriptions.RequestView]():        "Request",
	reflect.TypeFor[subscriptions.AuthView]():           "Auth",
	reflect.TypeFor[client.Request]():                   "RequestInput",
	reflect.TypeFor[client.Auth]():                      "AuthInput",
	reflect.TypeFor[subscriptions.VerificationStatus](): "VerificationStatus",
	reflect.TypeFor[client.Imported]():                  "Imported",
	reflect.TypeFor[client.Delivery]():                  "DeliveryInput",
	reflect.TypeFor[client.Rotation]():                  "Rotation",
	reflect.TypeFor[disabling]():                        "Disabling",
	reflect.TypeFor[client.Pinged]():                    "Pinged",
	reflect.TypeFor[client.EventType]():                 "EventType",
	reflect.TypeFor[client.Token]():                     "Token",
	reflect.TypeFor[client.NewToken]():                  "NewToken",
	reflect.TypeFor[client.Resume]():                    "Resume",
	reflect.TypeFor[client.Resumed]():                   "Resumed",
	reflect.TypeFor[client.DeadLetter]():                "DeadLetter",
	reflect.TypeFor[client.LoggedDelivery]():            "LoggedDelivery",
	reflect.TypeFor[client.LoggedEvent]():               "LoggedEvent",
	reflect.TypeFor[client.LoggedRequest]():             "LoggedRequest",
	reflect.TypeFor[client.LoggedAttempt]():             "LoggedAttempt",
	reflect.TypeFor[client.LoggedAnswer]():              "LoggedAnswer",
	reflect.TypeFor[client.LoggedTimings]():             "LoggedTimings",
	reflect.TypeFor[client.DeadLetterReplay]():          "DeadLetterReplay",
	reflect.TypeFor[client.DeadLettersReplayed]():       "DeadLettersReplayed",
	reflect.TypeFor[client.Readiness]():                 "Readiness",
	reflect.TypeFor[client.Part]():                      "Part",
	reflect.TypeFor[health]():                           "Health",
	reflect.TypeFor[client.Problem]():                   "Problem",
	reflect.TypeFor[client.FieldError]():                "FieldError",
	reflect.TypeFor[client.EnableFailed]():              "EnableFailed",
	reflect.TypeFor[client.Enabled]():                   "Enabled",
}

// inputs are the names of what is read. See apidoc.Types.
var inputs = []string{"DeliveryInput", "BatchInput", "RequestInput", "AuthInput", "Rotation", "Disabling", "NewToken", "Resume", "DeadLetterReplay", "EnableFailed"}

// likes are schemas whose fields mean what those of another one do, unless fields tells otherwise.
var likes = map[string]string{
	"NewSubscription": "Subscription", "SubscriptionReplacement": "NewSubscription", "SubscriptionPatch": "NewSubscription",
	"SubscriptionImport": "NewSubscription",
	"DeliveryInput":      "Delivery", "BatchInput": "Batch", "RequestInput": "Request", "AuthInput": "Auth", "NewToken": "Token",
}

// ownSchemas are those of types that write their JSON themselves.
func ownSchemas() map[reflect.Type]*apidoc.Schema {
	duration := &apidoc.Schema{Type: "string"}
	retries := &apidoc.Schema{AnyOf: []*apidoc.Schema{{Type: "array", Items: duration}, {Type: "integer"}}}
	return map[reflect.Type]*apidoc.Schema{
		reflect.TypeFor[subscriptions.Duration](): duration,
		reflect.TypeFor[subscriptions.Size]():     {Type: "string"},
		reflect.TypeFor[subscriptions.Retries]():  retries,
		reflect.TypeFor[client.Retries]():         retries,
		reflect.TypeFor[json.RawMessage]():        {Type: "object"},
	}
}

const (
	letterExample = "0000000100000000016b3a400000000100000000"
	// deliveryExample is that of the same event.
	deliveryExample = "dlv_s4gfrbe74abr2t6lqk6uias3i7_" + letterExample
	timeExample     = `"2026-11-22T04:54:02.344859Z"`
)

// fields tell what each field of each body means, with an example. The key of a schema alone tells of the whole.
var fields = map[string]apidoc.Field{
	"Subscription":                      {Text: "Somebody's wish to get events at a URL."},
	"Subscription.id":                   {Text: "Begins with `sub_`.", Example: `"sub_s4gfrbe74abr2t6lqk6uias3i7"`},
	"Subscription.account":              {Text: "The customer that it belongs to; null for one of the admin, which gets the events of all accounts.", Example: `"42"`},
	"Subscription.events":               {Text: "Names, `contact.*` for all of a resource, or `*` for all: at most 100.", Example: `["contact.create", "deal.*"]`},
	"Subscription.target_url":           {Text: "Where hooks are sent to. User and password in it are shown as `***`.", Example: `"https://example.com/hooks"`},
	"Subscription.resource_id":          {Text: "Only the events of this instance.", Example: `null`},
	"Subscription.filter":               {Text: "An expression over an event's `data`, `previous`, `type` and `context`: only events of which it is true are sent.", Example: `"data.status == \"won\""`},
	"Subscription.filter_error":         {Text: "What the filter failed on.", Example: `null`},
	"Subscription.expires_at":           {Text: "When it ends; null for one without an end.", Example: `null`},
	"NewSubscription.state":             {Text: "`shadow` matches and records, and sends nothing.", Example: `"active"`, Enum: stateNames(), Rare: true},
	"FilterError":                       {Text: "What a filter failed on."},
	"FilterError.message":               {Text: "Why. It holds nothing of the event's data.", Example: `"interface conversion"`},
	"FilterError.event_id":              {Text: "The last event that it failed on.", Example: `"evt_4hdvrlrqkz6uphbnkrk5sd4rtu"`},
	"FilterError.event_type":            {Text: "Its type.", Example: `"contact.update"`},
	"FilterError.at":                    {Text: "When that was.", Example: timeExample},
	"FilterError.count":                 {Text: "On how many events it has failed since it was set.", Example: `3`},
	"SubscriptionImport":                {Text: "A subscription as it is elsewhere."},
	"Imported":                          {Text: "What came of an import."},
	"Imported.id":                       {Text: "The subscription's id.", Example: `"hook-7"`},
	"Imported.result":                   {Text: "`made`, or `present` where there was the same one already.", Example: `"made"`, Enum: []string{client.ImportMade, client.ImportPresent}},
	"Imported.secret":                   {Text: "That of one that was made, if none was given. It cannot be read again.", Example: `"whsec_ObwyjFFnj7osB/JTDrQpvNuyvxZ4vKGcJbqnOxGe1+g="`, Rare: true},
	"Imported.dry_run":                  {Text: "Whether that is only what would have come of it.", Example: `false`},
	"EventType.schema":                  {Text: "The JSON Schema of its bodies in the format `standard`. A list does not have it.", Example: `{"type": "object"}`, Rare: true},
	"Subscription.ignore_sources":       {Text: "Events of transactions whose context has one of these as `source` are not sent: at most 20.", Example: `[]`},
	"Subscription.verification":         {Text: "How the target is asked whether it wants what is sent, before anything is.", Example: `"none"`, Enum: []string{"none", subscriptions.VerifySecret, subscriptions.VerifyChallenge}},
	"Subscription.verification_status":  {Text: "How far that has come; null where the target is not asked.", Example: `null`},
	"Subscription.notify_end":           {Text: "Whether the target is told, by a signed `DELETE`, that the subscription is over.", Example: `false`},
	"Subscription.request":              {Text: "How requests are made: what is not there is the default."},
	"Subscription.signature_public_key": {Text: "Verifies signatures of the scheme `standard_v1a`.", Example: `"whpk_O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="`, Rare: true},
	"Request":                           {Text: "How requests are made: what is not there is the default."},
	"RequestInput":                      {Text: "How requests are to be made."},
	"Request.format":                    {Text: "The form of the bodies.", Example: `"standard"`, Enum: subscriptions.Formats},
	"Request.signature":                 {Text: "The headers that sign.", Example: `"standard"`, Enum: subscriptions.Signatures},
	"Request.encoding":                  {Text: "How bodies are written.", Example: `"json"`, Enum: subscriptions.Encodings},
	"Request.method":                    {Text: "GET has the form in the query.", Example: `"POST"`, Enum: subscriptions.Methods},
	"Request.compression":               {Text: "How bodies above 1 KiB are compressed. What is signed is the body before.", Example: `"none"`, Enum: subscriptions.Compressions},
	"Request.headers":                   {Text: "Headers that are sent too: at most 20. Their values are shown as `***`, which stands for the stored one when it is sent back.", Example: `{"x-tenant": "***"}`},
	"RequestInput.headers":              {Text: "Headers that are sent too: at most 20. `***` stands for the stored value.", Example: `{"x-tenant": "acme"}`},
	"Request.auth":                      {Text: "How rowhook logs in to the target."},
	"Request.custom_data":               {Text: "Members that stand in every body.", Example: `{"plan": "pro"}`},
	"Auth":                              {Text: "How rowhook logs in to the target. What is secret is shown as `***`, which stands for the stored value when it is sent back."},
	"AuthInput":                         {Text: "How rowhook is to log in to the target. `***` stands for the stored value."},
	"Auth.type":                         {Text: "`bearer` (token), `basic` (username, password), `header` (name, value) or `oauth2` (the rest).", Example: `"bearer"`, Enum: []string{subscriptions.AuthBearer, subscriptions.AuthBasic, subscriptions.AuthHeader, subscriptions.AuthOAuth2}},
	"Auth.token":                        {Text: "What follows `Bearer`.", Example: `"***"`},
	"AuthInput.token":                   {Text: "What follows `Bearer`.", Example: `"a-token"`},
	"Auth.username":                     {Text: "Of Basic.", Example: `"***"`, Rare: true},
	"Auth.password":                     {Text: "Of Basic.", Example: `"***"`, Rare: true},
	"Auth.name":                         {Text: "The header's.", Example: `"secret_access_key"`, Rare: true},
	"Auth.value":                        {Text: "The header's.", Example: `"***"`, Rare: true},
	"Auth.token_url":                    {Text: "Gives tokens by the grant `client_credentials`.", Example: `"https://login.example.com/token"`, Rare: true},
	"Auth.client_id":                    {Text: "Of OAuth 2.0.", Example: `"***"`, Rare: true},
	"Auth.client_secret":                {Text: "Of OAuth 2.0.", Example: `"***"`, Rare: true},
	"Auth.scope":                        {Text: "Of OAuth 2.0.", Example: `"hooks"`, Rare: true},
	"Auth.audience":                     {Text: "Of OAuth 2.0.", Example: `"https://example.com"`, Rare: true},
	"VerificationStatus":                {Text: "How far the verification of a target has come."},
	"VerificationStatus.attempts":       {Text: "How many requests have ended.", Example: `2`},
	"VerificationStatus.last_attempt":   {Text: "When the last one began.", Example: timeExample},
	"VerificationStatus.last_error":     {Text: "Why it did not confirm; empty where it did, or there was none.", Example: `"timeout"`},
	"VerificationStatus.next_attempt":   {Text: "When the next one is made; null where there is none.", Example: timeExample},
	"VerificationStatus.expires_at":     {Text: "Until when the target has time; null once it has agreed.", Example: timeExample},
	"VerificationStatus.confirmed_at":   {Text: "When it agreed; null before.", Example: `null`},
	"Subscription.state":                {Text: "Only to active ones is sent.", Example: `"active"`, Enum: stateNames()},
	"Subscription.disabled_reason":      {Text: "By whom, why and since when it is disabled or expired.", Example: `null`},
	"Subscription.failing_since":        {Text: "Since when its target has taken nothing; null where it takes something, or nothing is sent. Some seconds old, and no part of the ETag.", Example: `null`},
	"Subscription.last_failure":         {Text: "How the last attempt ended, while `failing_since` is there.", Example: `null`},
	"Subscription.delivery":             {Text: "What differs from the config's `delivery`."},
	"Subscription.name":                 {Text: "A name, for people: at most 200 characters.", Example: `"CRM sync"`},
	"Subscription.description":          {Text: "More for people: at most 2000 characters.", Example: `""`},
	"Subscription.metadata":             {Text: "Texts of the owner's own: at most 50.", Example: `{"plan": "pro"}`},
	"Subscription.created_at":           {Text: "When it was made.", Example: timeExample},
	"Subscription.updated_at":           {Text: "When it was changed last.", Example: timeExample},
	"Subscription.secret": {Text: "What hooks are signed with: `whsec_` and base64. Only in the answer to the request that made it.", Rare: true,
		Example: `"whsec_ObwyjFFnj7osB/JTDrQpvNuyvxZ4vKGcJbqnOxGe1+g="`},

	"NewSubscription":             {Text: "What a subscription is to be. Unknown fields are refused, with the nearest name."},
	"SubscriptionReplacement":     {Text: "What a subscription is to be from now on."},
	"SubscriptionPatch":           {Text: "What is to change."},
	"NewSubscription.account":     {Text: "The customer that it is for. Only the admin may give it, and only to POST.", Example: `"42"`, Rare: true},
	"NewSubscription.target_url":  {Text: "https, at a public address, unless the config allows more. At most 2000 bytes. User and password in it are sent.", Example: `"https://example.com/hooks"`},
	"NewSubscription.event":       {Text: "One event, instead of `events`.", Example: `"contact.create"`, Rare: true},
	"NewSubscription.resource_id": {Text: "Only the events of this instance.", Example: `"42"`},
	"NewSubscription.secret": {Text: "`whsec_` and base64 of 24 to 64 bytes. Made if it is not given. A new one, by PUT or PATCH, signs from then on alone.", Rare: true,
		Example: `"whsec_ObwyjFFnj7osB/JTDrQpvNuyvxZ4vKGcJbqnOxGe1+g="`},

	"Delivery":               {Text: "What differs from the config's `delivery`: what is not there is the config's."},
	"DeliveryInput":          {Text: "What is to differ from the config's `delivery`."},
	"Delivery.timeout":       {Text: "How long the target may take: `100ms` to `1m`.", Example: `"5s"`},
	"Delivery.retries":       {Text: "The waits before each retry, each `1s` to `168h`, at most 100; or how many of the config's, 0 for none.", Example: `["5s", "5m", "2h"]`},
	"Delivery.ordering":      {Text: "Whether the events of an instance come in order.", Example: `"resource"`, Enum: []string{subscriptions.OrderingResource, subscriptions.OrderingNone}},
	"Delivery.max_in_flight": {Text: "How many requests at once the target gets; 64 if it is not given.", Example: `16`, Min: 1, Max: 1000},

	"Delivery.batch":    {Text: "Several events in one request, as an array of messages: what is not given is the default; null for one event in each.", Example: `null`},
	"Delivery.max_body": {Text: "The data of a message that would be larger is left out, which it says: `1KiB` to `1GiB`.", Example: `"256KiB"`},
	"Batch":             {Text: "When a request begins: as soon as one of the bounds is reached."},
	"BatchInput":        {Text: "When a request is to begin: as soon as one of the bounds is reached."},
	"Batch.max":         {Text: "How many events.", Example: `100`, Min: 1, Max: 1000},
	"Batch.bytes":       {Text: "How large the array may be: `1KiB` to `1MiB`. A larger message comes alone.", Example: `"256KiB"`},
	"Batch.wait":        {Text: "How long an event waits for others: `0s` to `1m`.", Example: `"1s"`},

	"DisabledReason":             {Text: "Why a subscription is disabled or expired."},
	"DisabledReason.by":          {Text: "`admin`, `account`, `rowhook`, `lease` or `import`.", Example: `"account"`},
	"DisabledReason.reason":      {Text: "For people; may be empty.", Example: `"we are moving"`},
	"DisabledReason.last_answer": {Text: "How the last attempt ended, where the target has taken nothing for too long.", Rare: true},
	"DisabledReason.missed":      {Text: "What was kept for it, and is older than the retention.", Rare: true},
	"LastAnswer":                 {Text: "How the last attempt ended."},
	"LastAnswer.status":          {Text: "The answer's status; null where there was none.", Example: `503`},
	"LastAnswer.reason":          {Text: "The typed reason.", Example: `"http_status"`},
	"LastAnswer.at":              {Text: "When it began.", Example: timeExample},
	"Missed":                     {Text: "Events that are never sent."},
	"Missed.count":               {Text: "How many.", Example: `12`},
	"Missed.until":               {Text: "When the last of them was committed.", Example: timeExample},
	"DisabledReason.since":       {Text: "Since when.", Example: timeExample},
	"Disabling":                  {Text: "Why the subscription is disabled."},
	"Disabling.reason":           {Text: "For people: at most 2000 characters.", Example: `"we are moving"`},
	"Rotation":                   {Text: "How the secret is rotated."},
	"Rotation.secret":            {Text: "The new one; made if it is not given.", Example: `"whsec_ObwyjFFnj7osB/JTDrQpvNuyvxZ4vKGcJbqnOxGe1+g="`, Rare: true},
	"Rotation.keep_old":          {Text: "For how long the old one signs beside it: `0s` to `720h`; 24 hours if it is not given.", Example: `"1h"`},
	"Pinged":                     {Text: "What came of a ping."},
	"Pinged.delivered":           {Text: "Whether the target took it.", Example: `true`},
	"Pinged.status":              {Text: "That of the target's answer; null where there was none.", Example: `204`},
	"Pinged.duration_ms":         {Text: "How long it took, in milliseconds.", Example: `41.7`},
	"Pinged.reason":              {Text: "The typed reason of a failure.", Example: `"timeout"`, Rare: true},
	"Pinged.detail":              {Text: "More of it, for people.", Example: `"no answer within 15s"`, Rare: true},

	"EventType":            {Text: "An event that can be subscribed to."},
	"EventType.name":       {Text: "What `events` takes.", Example: `"contact.create"`},
	"EventType.resource":   {Text: "Of which resource it tells.", Example: `"contact"`},
	"EventType.admin_only": {Text: "Whether customers cannot have it.", Example: `false`},
	"EventType.reason":     {Text: "Why they cannot.", Example: `"it belongs to no account"`, Rare: true},

	"LoggedDelivery":                {Text: "An event for a subscription, and what has become of it."},
	"LoggedDelivery.id":             {Text: "`dlv_`, the subscription's id without `sub_`, and the event's position.", Example: `"` + deliveryExample + `"`},
	"LoggedDelivery.subscription":   {Text: "The subscription's id.", Example: `"sub_s4gfrbe74abr2t6lqk6uias3i7"`},
	"LoggedDelivery.event":          {Text: "The event."},
	"LoggedDelivery.status":         {Text: "What has become of it.", Example: `"failed"`, Enum: deliveryStatuses},
	"LoggedDelivery.dropped_reason": {Text: "Why it was dropped: `shadow`, or `feed`. Not there where the target asked for it.", Example: `"shadow"`, Rare: true},
	"LoggedDelivery.replay":         {Text: "Whether it has ended before, and is to be sent again.", Example: `false`},
	"LoggedDelivery.attempt_count":  {Text: "How many attempts have ended, without those by whose answer the target asked for time.", Example: `1`},
	"LoggedDelivery.next_attempt":   {Text: "When a pending one is sent; null where it waits for an earlier event of its instance, and of one that has ended.", Example: `null`},
	"LoggedDelivery.retry_reason":   {Text: "Why the last attempt of a pending one failed.", Example: `"timeout"`, Rare: true},
	"LoggedDelivery.finished_at":    {Text: "When its end was written; null while it is pending.", Example: timeExample},
	"LoggedDelivery.http_status":    {Text: "That of the answer by which it ended; null where there was none.", Example: `503`},
	"LoggedDelivery.duration_ms":    {Text: "How long the attempt took by which it ended, in milliseconds; null where there was none.", Example: `41.7`},
	"LoggedDelivery.request":        {Text: "What its attempts have in common. A list does not have it.", Rare: true},
	"LoggedDelivery.attempts":       {Text: "The attempts that have ended. A list does not have them.", Rare: true},
	"LoggedEvent":                   {Text: "The event of a delivery."},
	"LoggedEvent.id":                {Text: "Its `webhook-id`. Empty where the event could not be stored.", Example: `"evt_4hdvrlrqkz6uphbnkrk5sd4rtu"`},
	"LoggedEvent.type":              {Text: "Its type.", Example: `"contact.update"`},
	"LoggedEvent.resource":          {Text: "Of which resource.", Example: `"contact"`},
	"LoggedEvent.instance":          {Text: "Of which instance.", Example: `"42"`},
	"LoggedEvent.position":          {Text: "Its `webhook-position`.", Example: `"` + letterExample + `"`},
	"LoggedEvent.timestamp":         {Text: "When it was committed.", Example: timeExample},
	"LoggedRequest":                 {Text: "A request, made again as the subscription is now. What is secret is `***`; a form is without its signature."},
	"LoggedRequest.method":          {Text: "Its method.", Example: `"POST"`},
	"LoggedRequest.url":             {Text: "Its URL, as `target_url` is shown.", Example: `"https://example.com/hooks"`},
	"LoggedRequest.headers":         {Text: "Its headers, but for those of each attempt.", Example: `{"content-type": "application/json", "webhook-signature": "***"}`},
	"LoggedRequest.body":            {Text: "The first 64 KiB of its body. Empty for a GET, and where the event is larger than 1 MiB.", Example: `"{\"type\":\"contact.update\"}"`},
	"LoggedRequest.body_bytes":      {Text: "How long the whole body is; 0 where it was not made.", Example: `25`},
	"LoggedRequest.truncated":       {Text: "Whether `body` is not all of it.", Example: `false`},
	"LoggedAttempt":                 {Text: "An attempt that has ended."},
	"LoggedAttempt.number":          {Text: "Its `webhook-attempt`, from 1.", Example: `1`},
	"LoggedAttempt.counts":          {Text: "False where the target asked for time: the next attempt has the same number. Only the first of several such is kept.", Example: `true`},
	"LoggedAttempt.delivered":       {Text: "Whether the target took it.", Example: `false`},
	"LoggedAttempt.started_at":      {Text: "When it began; of a delivered one to within some milliseconds.", Example: timeExample},
	"LoggedAttempt.headers":         {Text: "The headers that are this attempt's own.", Example: `{"webhook-attempt": "1", "webhook-timestamp": "1795323242"}`},
	"LoggedAttempt.answer":          {Text: "What the target answered; null where it did not."},
	"LoggedAttempt.reason":          {Text: "The typed reason of a failure.", Example: `"http_status"`},
	"LoggedAttempt.detail":          {Text: "More of it, for people.", Example: `"connection refused"`, Rare: true},
	"LoggedAttempt.timings":         {Text: "What its parts took."},
	"LoggedAnswer":                  {Text: "What a target answered."},
	"LoggedAnswer.status":           {Text: "The status.", Example: `503`},
	"LoggedAnswer.body":             {Text: "The first 4 KiB of a failure's body; null where there is none, or it is not for the caller.", Example: `"try later"`},
	"LoggedTimings":                 {Text: "What the parts of an attempt took, in milliseconds. DNS, connect and TLS are missing where the connection was kept from an earlier attempt."},
	"LoggedTimings.dns_ms":          {Text: "The lookup of the name.", Example: `1.2`},
	"LoggedTimings.connect_ms":      {Text: "The connection.", Example: `11.4`},
	"LoggedTimings.tls_ms":          {Text: "The handshake.", Example: `24.1`},
	"LoggedTimings.first_byte_ms":   {Text: "From the beginning to the first byte of the answer. Missing where there was no answer.", Example: `78.3`},
	"LoggedTimings.total_ms":        {Text: "From the beginning to the end of the answer's headers, or the failure.", Example: `78.9`},

	"Token":               {Text: "What lets a caller in, made by the admin."},
	"Token.id":            {Text: "Begins with `tok_`.", Example: `"tok_4hdvrlrqkz6uphbnkrk5sd4rtu"`},
	"Token.name":          {Text: "What the log calls the caller.", Example: `"acme"`},
	"Token.account":       {Text: "The customer whom it lets in as; `*` is the admin, read-only.", Example: `"42"`},
	"Token.read_only":     {Text: "Whether it lets read only.", Example: `false`},
	"Token.created_at":    {Text: "When it was made.", Example: timeExample},
	"Token.expires_at":    {Text: "When it ends; null for one without an end.", Example: `"2026-12-22T04:54:02.344859Z"`},
	"Token.token":         {Text: "The token itself. Only in the answer to the request that made it.", Example: `"rht_ZWKPWJ5ARBRWFG4IPXT7QGFHQOYSA2TNF5FXHBGR46LLAUIDN4QJ"`, Rare: true},
	"NewToken":            {Text: "A token to be made."},
	"NewToken.expires_in": {Text: "How long it lives: `1s` and more. Without it, until it is deleted.", Example: `"720h"`},

	"Resume":            {Text: "What is decided."},
	"Resume.accept_gap": {Text: "Agree that changes are missing for ever. Without it only that is confirmed which loses nothing.", Example: `true`, Optional: true},
	"Resumed":           {Text: "What was accepted."},
	"Resumed.incident":  {Text: "Why replication was held up.", Example: `"slot_missing"`},
	"Resumed.gap":       {Text: "Whether changes are missing.", Example: `true`},
	"Resumed.from":      {Text: "Since when; null where it is not known.", Example: timeExample},
	"Resumed.to":        {Text: "Until when.", Example: timeExample},
	"Resumed.told":      {Text: "How many subscriptions get a `rowhook.gap`.", Example: `12`},

	"DeadLetter":                  {Text: "A change that could not be made into an event, and what has become of it."},
	"DeadLetter.id":               {Text: "The position that its event has: 40 hex digits.", Example: `"` + letterExample + `"`},
	"DeadLetter.event_id":         {Text: "The id of the event that could not be made.", Example: `"evt_4hdvrlrqkz6uphbnkrk5sd4rtu"`},
	"DeadLetter.type":             {Text: "Its type; where a condition failed, the likely one.", Example: `"contact.update"`},
	"DeadLetter.resource":         {Text: "Of which resource.", Example: `"contact"`},
	"DeadLetter.instance":         {Text: "Of which instance; empty where it is not known.", Example: `"42"`},
	"DeadLetter.op":               {Text: "What was done to the row.", Example: `"update"`, Enum: []string{"insert", "update", "delete", "truncate"}},
	"DeadLetter.reason":           {Text: "What failed, and where. Never the row's values.", Example: `"representation.share: division by zero"`},
	"DeadLetter.state":            {Text: "Whether something can still be done about it.", Example: `"open"`, Enum: []string{client.DeadLetterOpen, client.DeadLetterClosed}},
	"DeadLetter.tries":            {Text: "How often a replay was tried.", Example: `0`},
	"DeadLetter.committed_at":     {Text: "When the change was committed.", Example: timeExample},
	"DeadLetter.created_at":       {Text: "When it was found.", Example: timeExample},
	"DeadLetter.requested_at":     {Text: "Since when a replay is asked for that has not ended; null when there is none.", Example: `null`},
	"DeadLetter.closed_at":        {Text: "When it was closed; null for an open one.", Example: `null`},
	"DeadLetter.closed_reason":    {Text: "`replayed`, `superseded` or `discarded`.", Example: `"discarded"`, Rare: true},
	"DeadLetter.closed_by":        {Text: "The name of the token that discarded it.", Example: `"ops"`, Rare: true},
	"DeadLetterReplay":            {Text: "Which open dead letters are to be replayed."},
	"DeadLetterReplay.resource":   {Text: "Those of this resource.", Example: `"contact"`},
	"DeadLetterReplay.reason":     {Text: "Those with this text in their reason.", Example: `"division by zero"`},
	"DeadLetterReplay.ids":        {Text: "Those with these ids: at most 1000.", Example: `["` + letterExample + `"]`},
	"DeadLetterReplay.all":        {Text: "All of them.", Example: `true`},
	"DeadLetterReplay.dry_run":    {Text: "Only count them.", Example: `true`},
	"DeadLettersReplayed":         {Text: "How many dead letters."},
	"DeadLettersReplayed.count":   {Text: "How many are, or would be, replayed.", Example: `3`},
	"DeadLettersReplayed.dry_run": {Text: "Whether they were only counted.", Example: `true`},

	"Health":           {Text: "That the process lives."},
	"Health.status":    {Text: "Always `alive`.", Example: `"alive"`},
	"Health.version":   {Text: "The version of rowhook.", Example: `"1.0.0"`},
	"Readiness":        {Text: "Whether rowhook works, and each of its parts."},
	"Readiness.ready":  {Text: "Whether hooks flow, or it is standing by.", Example: `true`},
	"Readiness.role":   {Text: "`starting`, `active`, or `standby` where another process reads the slot.", Example: `"active"`},
	"Readiness.reason": {Text: "Why it is not ready, and what to do.", Example: `"the source is away"`, Rare: true},
	"Readiness.parts":  {Text: "Each part."},
	"Part":             {Text: "A part of rowhook."},
	"Part.name":        {Text: "Which one.", Example: `"replication"`},
	"Part.ready":       {Text: "Whether it works.", Example: `true`},
	"Part.state":       {Text: "Its state in words.", Example: `"streaming"`},
	"Part.detail":      {Text: "More, for people.", Example: `"since 04:54"`, Rare: true},

	"Problem":           {Text: "What is wrong (RFC 9457)."},
	"Problem.type":      {Text: "What kind of problem: `about:blank` where the status says all.", Example: `"invalid-subscription"`},
	"Problem.title":     {Text: "The kind in words.", Example: `"Invalid subscription"`},
	"Problem.status":    {Text: "The status of the answer.", Example: `422`},
	"Problem.detail":    {Text: "What is wrong, and what to do.", Example: `"the body has 1 mistake"`},
	"Problem.errors":    {Text: "Each field that is wrong."},
	"Problem.id":        {Text: "Finds the line in rowhook's log.", Example: `"err_4HDVRLRQKZ6UPHBNKRK5SD4RTU"`, Rare: true},
	"Problem.oldest":    {Text: "Of a cursor that is too old: where to go on from.", Example: `"` + letterExample + `"`, Rare: true},
	"FieldError":        {Text: "What is wrong with one field."},
	"FieldError.field":  {Text: "Its path, such as `events[1]` or `delivery.timeout`; empty for the whole.", Example: `"events[0]"`},
	"FieldError.detail": {Text: "What is wrong with it, and what to do.", Example: `"no event is called \"contact.craete\": did you mean \"contact.create\"?"`},

	"DisabledReason.failed_missed": {Text: "Whether what had failed for good before is not kept any more: `missed` counts it.", Example: `true`, Rare: true},
	"Missed.position":              {Text: "Where the last of them stands, where that is known.", Example: `"00000001000000000413b8e90000000100000000"`, Rare: true},
	"DisabledReason.failing_since": {Text: "Since when the target had taken nothing, where rowhook has disabled it.", Example: timeExample, Rare: true},

	"EnableFailed":                 {Text: "Which subscriptions are to be enabled, of those that rowhook has disabled."},
	"EnableFailed.event":           {Text: "Those that get this event: also by `contact.*` and `*`.", Example: `"contact.create"`},
	"EnableFailed.target_host":     {Text: "Those with a target at this host.", Example: `"hooks.example.com"`},
	"EnableFailed.name":            {Text: "Those with this in their name, in upper or lower case.", Example: `"crm"`},
	"EnableFailed.account":         {Text: "Those of this customer. The admin alone may give it.", Example: `"42"`},
	"EnableFailed.disabled_after":  {Text: "Those that were disabled then or later.", Example: timeExample},
	"EnableFailed.disabled_before": {Text: "Those that were disabled before.", Example: timeExample},
	"EnableFailed.all":             {Text: "All of them, without a filter.", Example: `true`},
	"EnableFailed.dry_run":         {Text: "Only count them.", Example: `true`},
	"EnableFailed.after":           {Text: "That of the answer before, to go on.", Example: `"sub_s4gfrbe74abr2t6lqk6uias3i7"`},
	"EnableFailed.limit":           {Text: "How many at most in one request: 1 to 1000, 1000 if it is not given.", Example: `1000`},
	"Enabled":                      {Text: "How many subscriptions were enabled."},
	"Enabled.enabled":              {Text: "How many were, or would be.", Example: `3`},
	"Enabled.skipped":              {Text: "How many were not, because their leases are over.", Example: `0`},
	"Enabled.dry_run":              {Text: "Whether they were only counted.", Example: `true`},
	"Enabled.more":                 {Text: "Whether there may be more: the same body with `after` goes on.", Example: `false`},
	"Enabled.after":                {Text: "Where to go on.", Example: `"sub_s4gfrbe74abr2t6lqk6uias3i7"`, Rare: true},
}

func stateNames() []string {
	var names []string
	for _, s := range subscriptions.States {
		names = append(names, string(s))
	}
	return names
}

// builder has what the document says of the API as a whole.
func builder(version string) apidoc.Builder {
	types := &apidoc.Types{Names: schemaNames, Own: ownSchemas(), Fields: fields, Inputs: inputs, Likes: likes}
	return apidoc.Builder{
		Info: apidoc.Info{Title: "rowhook", Version: orUnknown(version), Description: "Subscriptions to the committed changes of a database, as one more resource of its API. Bodies are JSON. " +
			"All routes work with and without the last slash. Errors are problems (RFC 9457) that name each field that is wrong. What belongs to another account is " +
			"answered like what does not exist."},
		Tags: []apidoc.Tag{
			{Name: "event-type", Description: "The events that can be subscribed to."},
			{Name: "subscription", Description: "Who gets what, and where."},
			{Name: "delivery", Description: "What was sent, and what became of it."},
			{Name: "token", Description: "What lets customers in."},
			{Name: "event", Description: "What has happened."},
			{Name: "dead-letter", Description: "Changes that could not be made into events."},
			{Name: "operation", Description: "Whether it works, and how to let it go on."},
			{Name: "description", Description: "What you read."},
			{Name: apidoc.AdminTag, Description: "What needs an admin's token."},
		},
		Login:   apidoc.Scheme{Type: "http", Scheme: "bearer", Description: "one of `api.tokens` in the config, or one that the admin has made by `POST /token/`."},
		Types:   types,
		Problem: types.Named(client.Problem{}),
		Params: map[string]*apidoc.Parameter{
			"subscription": {Description: "The id of the subscription.", Schema: &apidoc.Schema{Type: "string"}, Example: "sub_s4gfrbe74abr2t6lqk6uias3i7"},
			"delivery":     {Description: "The id of the delivery.", Schema: &apidoc.Schema{Type: "string"}, Example: deliveryExample},
			"event-type":   {Description: "The name of the event.", Schema: &apidoc.Schema{Type: "string"}, Example: "contact.create"},
			"token":        {Description: "The id of the token.", Schema: &apidoc.Schema{Type: "string"}, Example: "tok_4hdvrlrqkz6uphbnkrk5sd4rtu"},
			"dead-letter":  {Description: "The id of the dead letter.", Schema: &apidoc.Schema{Type: "string"}, Example: letterExample},
		},
		Headers: apidoc.Ordered[*apidoc.Header]{
			{Name: "ETag", Value: told("Changes with everything that is shown of the subscription.", `"1"`)},
			{Name: "Link", Value: told("Leads to the next page, where there is one.", `</api/v1/subscription/?after=sub_s4gfrbe74abr2t6lqk6uias3i7&limit=100>; rel="next"`)},
			{Name: "Location", Value: told("Where what was made is.", "/api/v1/subscription/sub_s4gfrbe74abr2t6lqk6uias3i7/")},
			{Name: "Retry-After", Value: told("After how many seconds it may be tried again.", "1")},
			{Name: cursorHeader, Value: told("Where to go on: the `after` of the next request.", letterExample)},
			{Name: "Rowhook-Sample", Value: told("What the sample is of: `row`, or `synthetic`.", "row")},
			{Name: "WWW-Authenticate", Value: told("How to log in.", `Bearer realm="rowhook"`)},
		},
		Problems: problems,
	}
}

// problems are the errors, with what follows from the kind of an operation in apidoc.
var problems = []apidoc.Problem{
	{Status: http.StatusBadRequest, Name: "BadRequest", Text: "The body is not JSON, or a parameter is wrong.",
		Example: `{"type":"about:blank","title":"Bad Request","status":400,"detail":"the body is not JSON: line 1, column 10: unexpected end of JSON input"}`},
	{Status: http.StatusUnauthorized, Name: "Unauthorized", Text: "There is no token, or one that is not known.", Headers: []string{"WWW-Authenticate"},
		Example: `{"type":"about:blank","title":"Unauthorized","status":401,"detail":"the token is not known"}`},
	{Status: http.StatusForbidden, Name: "Forbidden", Text: "Only an admin's token may do that, or the login may only read.",
		Example: `{"type":"about:blank","title":"Forbidden","status":403,"detail":"this login may only read"}`},
	{Status: http.StatusNotFound, Name: "NotFound", Text: "There is none of this account with the id.",
		Example: `{"type":"about:blank","title":"Not Found","status":404,"detail":"there is no such subscription"}`},
	{Status: http.StatusPreconditionFailed, Name: "PreconditionFailed", Text: "It was changed since.", Headers: []string{"ETag"},
		Example: `{"type":"about:blank","title":"Precondition Failed","status":412,"detail":"the subscription was changed since: read it again, and send its ETag as If-Match"}`},
	{Status: http.StatusRequestEntityTooLarge, Name: "TooLarge", Text: "The body has more than 256 KiB.",
		Example: `{"type":"about:blank","title":"Request Entity Too Large","status":413,"detail":"the body has more than 262144 bytes"}`},
	{Status: http.StatusUnsupportedMediaType, Name: "UnsupportedMediaType", Text: "The content type is not one that the route takes.",
		Example: `{"type":"about:blank","title":"Unsupported Media Type","status":415,"detail":"the content type is \"text/plain\": send application/json"}`},
	{Status: http.StatusUnprocessableEntity, Name: "Invalid", Text: "Fields are wrong: `errors` names each.",
		Example: `{"type":"invalid-subscription","title":"Invalid subscription","status":422,"detail":"the body has 1 mistake","errors":[{"field":"nmae","detail":"\"nmae\" is not a field: did you mean \"name\"?"}]}`},
	{Status: http.StatusTooManyRequests, Name: "TooManyRequests", Text: "The account has sent too many requests.", Headers: []string{"Retry-After"},
		Example: `{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"this account has sent too many requests: wait as long as Retry-After says"}`},
	{Status: http.StatusInternalServerError, Name: "InternalError", Text: "A mistake of rowhook's: `id` finds the line in its log.",
		Example: `{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"unexpected error: rowhook's log tells more under this id","id":"err_4HDVRLRQKZ6UPHBNKRK5SD4RTU"}`},
	{Status: http.StatusServiceUnavailable, Name: "Unavailable", Text: "The store or the source is away.", Headers: []string{"Retry-After"},
		Example: `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"the store or the source cannot be reached: try again"}`},
}

func told(text, example string) *apidoc.Header {
	return &apidoc.Header{Description: text, Schema: &apidoc.Schema{Type: "string"}, Example: example}
}

func orUnknown(version string) string {
	if version == "" {
		return "unknown"
	}
	return version
}
