package app

import (
	"errors"
	"strings"
	"testing"
)

func TestParseMessage(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		`{"mute": true}`:                     `true silent`,
		` { "mute" : false } `:               `false silent`,
		`{}`:                                 `- none`,
		`{"source": "zapier"}`:               `- {"source":"zapier"}`,
		`{"source":"x","mute":true,"a":[ ]}`: `true {"source":"x","a":[]}`,
		`{"mute":true,"a":1}`:                `true {"a":1}`,
		`{"a":1,"mute":true}`:                `true {"a":1}`,
		`{"mute":true,"mute":false}`:         `false silent`,
		`{"Mute":true,"mute ":1}`:            `- {"Mute":true,"mute ":1}`,
		// Nothing is read as a number, or escaped in another way.
		`{"n": 12345678901234567890.10, "e": 1E400, "t": "<\u00fc\/ü", "k\"{": {"mute": 1 , "b" : [ {} , null ]}}`:// as it is
		`- {"n":12345678901234567890.10,"e":1E400,"t":"<\u00fc\/ü","k\"{":{"mute":1,"b":[{},null]}}`,
		`{"t":"` + strings.Repeat("x", messageMax-8) + `"}`: `- {"t":"` + strings.Repeat("x", messageMax-8) + `"}`,
	} {
		m, err := parseMessage([]byte(content))
		if err != nil {
			t.Errorf("%s: %v", content, err)
			continue
		}
		got := "- "
		if m.mute != nil {
			got = map[bool]string{true: "true ", false: "false "}[*m.mute]
		}
		switch {
		case !m.speaks:
			got += "silent"
		case m.context == nil:
			got += "none"
		default:
			got += string(m.context)
		}
		if got != want {
			t.Errorf("%s\nis   %s\nwant %s", content, got, want)
		}
	}
	for content, want := range map[string]error{
		``: errNoObject, ` `: errNoObject, `[]`: errNoObject, `"mute"`: errNoObject, `null`: errNoObject, `{"a":1`: errNoObject, `{"a":1}{}`: errNoObject,
		`{'mute': true}`: errNoObject, `mute`: errNoObject,
		`{"mute":"yes"}`: errMute, `{"mute":1,"source":"x"}`: errMute, `{"mute":null}`: errMute, `{"mute":{}}`: errMute,
		"{\"a\":\"\xfc\"}": errNoUTF8,
		`{"t":"` + strings.Repeat("x", messageMax-7) + `"}`: errTooLong, strings.Repeat("[", 3*messageMax): errTooLong,
		strings.Repeat("[", messageMax): errNoObject,
	} {
		if m, err := parseMessage([]byte(content)); !errors.Is(err, want) {
			t.Errorf("%.40s: got %+v, %v, want %v", content, m, err, want)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add([]byte(`{"source":"x","mute":true,"a":[ ]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		m, err := parseMessage(content)
		if err != nil || m.context == nil {
			return
		}
		// What is sent is a message that says the same of itself.
		again, err := parseMessage(m.context)
		if err != nil || again.mute != nil || string(again.context) != string(m.context) {
			t.Errorf("%q becomes %q, and that %q, %v", content, m.context, again.context, err)
		}
	})
}
