package sender

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// Format is a form that bodies have.
type Format struct {
	Name string
	// ContentType is that of its JSON, BatchType that of an array of it.
	ContentType, BatchType string
	// Append appends the body of an event as JSON.
	Append func(dst []byte, ev *mapping.Event, in Envelope) []byte
	// own are the members that it writes, some of them not always, and inBatch those that it writes in an array only: nobody
	// else's may have their names.
	own, inBatch []string
}

// Envelope is what bodies say beside their event.
type Envelope struct {
	// Subscription is its id, Target the URL as it is shown to its owner.
	Subscription, Target string
	// Source names the database that events come of, see SourceOf.
	Source string
	// Location is the URL of an instance in the application's API, empty where there is none. It may be nil.
	Location func(resource, instance string) string
	// batch says that it is a message of an array, and has to name its event itself.
	batch bool
	// omitted says that the data is left out, for its size.
	omitted bool
	// maxBody is how large a message may be where its subscription says nothing, 0 for any size.
	maxBody int64
	// custom are the members of the subscriber's own, each with a comma before it.
	custom []byte
}

// SourceOf is the source of a database's events, as CloudEvents has it.
func SourceOf(database string) string { return "/rowhook/" + url.PathEscape(database) }

const jsonType = "application/json"

var formats = []Format{
	{Name: subscriptions.FormatStandard, ContentType: jsonType, BatchType: jsonType, Append: appendStandard,
		own: []string{"type", "timestamp", "data", "partial", "previous", "context", "position", "backfill"}, inBatch: []string{"id"}},
	{Name: subscriptions.FormatRESTHooks, ContentType: jsonType, BatchType: jsonType, Append: appendRESTHook, own: []string{"hook", "data", "partial", "backfill"},
		inBatch: []string{"id", "position"}},
	{Name: subscriptions.FormatRepresentation, ContentType: jsonType, BatchType: jsonType, Append: appendRepresentation},
	{Name: subscriptions.FormatThin, ContentType: jsonType, BatchType: jsonType, Append: appendThin, own: []string{"type", "timestamp", "id", "url", "data", "position", "backfill"},
		inBatch: []string{"resource_id"}},
	{Name: subscriptions.FormatCloudEvents, ContentType: "application/cloudevents+json", BatchType: "application/cloudevents-batch+json", Append: appendCloudEvent,
		own: []string{"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "data_base64", "position", "partial", "backfill"}},
}

// Formats are those that there are, the default first.
func Formats() []Format { return slices.Clone(formats) }

func formatOf(name string) Format {
	i := slices.IndexFunc(formats, func(f Format) bool { return f.Name == name })
	if i < 0 {
		i = 0
	}
	return formats[i]
}

func appendStandard(dst []byte, ev *mapping.Event, in Envelope) []byte {
	switch {
	case in.omitted:
		return appendThin(dst, ev, in)
	case in.batch:
		dst = appendID(dst, ev)
		at := len(dst)
		dst = AppendStandard(dst, ev)
		dst[at] = ',' // in place of its brace
	default:
		dst = AppendStandard(dst, ev)
	}
	return append(append(dst[:len(dst)-1], in.custom...), '}')
}

// appendRESTHook has the form of REST Hooks: https://resthooks.org. Beside it stands what must not be missed.
func appendRESTHook(dst []byte, ev *mapping.Event, in Envelope) []byte {
	if in.batch {
		dst = append(appendID(dst, ev), ',')
	} else {
		dst = append(dst, '{')
	}
	dst = append(dst, `"hook":{"id":"`...)
	dst = append(dst, in.Subscription...)
	dst = append(dst, `","event":"`...)
	dst = append(dst, ev.Type...)
	dst = append(dst, `","target":`...)
	dst = appendText(dst, in.Target)
	dst = append(dst, '}')
	if in.omitted {
		member := `,"id":`
		if in.batch {
			member = `,"resource_id":`
		}
		dst = append(appendInstance(dst, member, ev, in), `,"data_omitted":"`+omittedByMaxBody+`"`...)
	} else {
		dst = append(append(dst, `,"data":`...), ev.Data...)
		dst = appendPartial(dst, ev)
	}
	dst = appendBackfill(dst, ev)
	if in.batch || in.omitted {
		dst = append(dst, `,"position":"`...)
		dst = append(ev.Position.AppendText(dst), '"')
	}
	return append(append(dst, in.custom...), '}')
}

// appendID begins a message of a batch.
func appendID(dst []byte, ev *mapping.Event) []byte {
	dst = append(dst, `{"id":"`...)
	dst = append(dst, ev.ID...)
	return append(dst, '"')
}

func appendRepresentation(dst []byte, ev *mapping.Event, _ Envelope) []byte {
	return append(dst, ev.Data...)
}

// appendThin leaves out the representation, but not what rowhook itself has to tell: nobody could be asked for that.
func appendThin(dst []byte, ev *mapping.Event, in Envelope) []byte {
	member := `,"id":`
	if in.batch {
		// There the id is the event's, as in the other formats.
		dst, member = append(appendID(dst, ev), ','), `,"resource_id":`
	} else {
		dst = append(dst, '{')
	}
	dst = append(dst, `"type":"`...)
	dst = append(dst, ev.Type...)
	dst = append(dst, `","timestamp":"`...)
	dst = ev.Time.UTC().AppendFormat(dst, timestampLayout)
	dst = append(dst, '"')
	dst = appendInstance(dst, member, ev, in)
	if in.omitted {
		dst = append(dst, `,"data_omitted":"`+omittedByMaxBody+`"`...)
	}
	if ev.Resource == mapping.NoticeResource {
		dst = append(append(dst, `,"data":`...), ev.Data...)
	}
	dst = appendBackfill(dst, ev)
	dst = append(dst, `,"position":"`...)
	dst = ev.Position.AppendText(dst)
	dst = append(dst, '"')
	return append(append(dst, in.custom...), '}')
}

// appendBackfill says that a message tells of a row that was there, not of a change.
func appendBackfill(dst []byte, ev *mapping.Event) []byte {
	if ev.Backfilled() {
		dst = append(dst, `,"backfill":true`...)
	}
	return dst
}

// appendInstance names the instance, by a member, and where it can be asked for.
func appendInstance(dst []byte, member string, ev *mapping.Event, in Envelope) []byte {
	if ev.Instance == "" {
		return dst
	}
	return appendLocation(appendText(append(dst, member...), ev.Instance), ev, in)
}

func appendLocation(dst []byte, ev *mapping.Event, in Envelope) []byte {
	if in.Location != nil && ev.Instance != "" {
		if at := in.Location(ev.Resource, ev.Instance); at != "" {
			dst = appendText(append(dst, `,"url":`...), at)
		}
	}
	return dst
}

// appendCloudEvent is the JSON format of CloudEvents 1.0, structured:
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
func appendCloudEvent(dst []byte, ev *mapping.Event, in Envelope) []byte {
	dst = append(dst, `{"specversion":"1.0","id":"`...)
	dst = append(dst, ev.ID...)
	dst = append(dst, `","source":`...)
	dst = appendText(dst, in.Source)
	dst = append(dst, `,"type":"`...)
	dst = append(dst, ev.Type...)
	dst = append(dst, '"')
	if ev.Instance != "" { // an attribute must not be empty
		dst = appendText(append(dst, `,"subject":`...), ev.Instance)
	}
	dst = append(dst, `,"time":"`...)
	dst = ev.Time.UTC().AppendFormat(dst, timestampLayout)
	dst = append(dst, '"')
	if !in.omitted {
		dst = append(dst, `,"datacontenttype":"application/json"`...)
	}
	dst = append(dst, `,"position":"`...)
	dst = ev.Position.AppendText(dst)
	dst = appendBackfill(append(dst, '"'), ev)
	if in.omitted {
		dst = append(appendLocation(dst, ev, in), `,"dataomitted":"`+omittedByMaxBody+`"`...)
		return append(append(dst, in.custom...), '}')
	}
	if len(ev.Partial) > 0 {
		dst = appendText(append(dst, `,"partial":`...), strings.Join(ev.Partial, ","))
	}
	dst = append(append(dst, in.custom...), `,"data":`...)
	return append(append(dst, ev.Data...), '}')
}

// appendPartial names the members that are missing. They come from the config file: they may hold anything.
func appendPartial(dst []byte, ev *mapping.Event) []byte {
	if len(ev.Partial) == 0 {
		return dst
	}
	partial, err := json.Marshal(ev.Partial)
	if err != nil {
		return dst
	}
	return append(append(dst, `,"partial":`...), partial...)
}

// appendText appends a text as JSON.
func appendText(dst []byte, text string) []byte {
	var quoted bytes.Buffer
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false) // a URL stays as it is
	if err := e.Encode(text); err != nil {
		return append(dst, `""`...)
	}
	return append(dst, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
}

// customMembers are those of an object that the format has no names of its own for, nor are taken, each with a comma before it.
func (f Format) customMembers(object []byte, taken ...string) []byte {
	own := slices.Concat(f.own, taken)
	d := json.NewDecoder(strings.NewReader(string(object)))
	if _, err := d.Token(); err != nil {
		return nil
	}
	var dst []byte
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil
		}
		if text, ok := name.(string); ok && !slices.Contains(own, text) {
			dst = append(appendText(append(dst, ','), text), ':')
			dst = append(dst, value...)
		}
	}
	return dst
}
