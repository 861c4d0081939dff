// Package tracing makes OpenTelemetry spans of deliveries and sends them by OTLP over HTTP, as the standard OTEL_ variables say.
//
// A delivery is an event that goes to one subscription. Its span goes from the commit to its end, an attempt is a child of it. The
// ids are functions of event and subscription: so the attempts of days, and of several processes, are of one trace, though
// nothing is stored for it. Attributes name no row, no customer and no secret.
package tracing
