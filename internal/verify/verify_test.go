package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	testID     = "evt_pwuk2pnbs3ms6slb535qaef6re"
	testBody   = `{"type":"contact.update","data":{"name":"Jürgen 🙂 </b>","url":"https://example.com/a"},"position":"00"}`
)

var sent = time.Date(2026, 11, 22, 4, 54, 2, 0, time.UTC)

// captured is a signed request, as text, after a change of its parts.
func captured(t testing.TB, change func(header map[string]string, body *string)) *Capture {
	t.Helper()
	wh, err := standardwebhooks.NewWebhook(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := wh.Sign(testID, sent, []byte(testBody))
	if err != nil {
		t.Fatal(err)
	}
	h := map[string]string{"Content-Type": "application/json", "webhook-id": testID, "webhook-timestamp": fmt.Sprint(sent.Unix()), "webhook-signature": sig}
	body := testBody
	if change != nil {
		change(h, &body)
	}
	raw := "POST /hooks HTTP/1.1\r\n"
	for name, value := range h {
		raw += name + ": " + value + "\r\n"
	}
	c, err := Parse([]byte(raw + "\r\n" + body))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEachPartIsNamed(t *testing.T) {
	t.Parallel()
	const long = "0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		change func(h map[string]string, body *string)
		secret string
		at     time.Time
		// part is the one that is wrong, empty for none; detail is a piece of what is said.
		part, detail string
	}{
		"all is right": {},
		"the body is not there, as that of a GET": {change: func(_ map[string]string, body *string) { *body = "" },
			part: "body", detail: "0 bytes, which is not what was signed"},
		"arrived in time": {at: sent.Add(4 * time.Minute)},
		"several signatures": {change: func(h map[string]string, _ *string) {
			h["webhook-signature"] = "v1,AAAA v1a,AAAA " + h["webhook-signature"]
		}},
		"secret with a newline": {secret: testSecret + "\n"},

		"arrived late":  {at: sent.Add(6 * time.Minute), part: "webhook-timestamp", detail: "6m0s before it arrived"},
		"clock is slow": {at: sent.Add(-time.Hour), part: "webhook-timestamp", detail: "1h0m0s after it arrived"},

		"another secret":      {secret: "whsec_" + strings.Repeat("QUJD", 8), part: "body", detail: "neither these"},
		"no secret":           {secret: "  ", part: "secret", detail: "is empty"},
		"stars":               {secret: "whsec_***", part: "secret", detail: "in place of a secret"},
		"a token":             {secret: "rht_" + long, part: "secret", detail: "begins with rht_"},
		"not base64":          {secret: "whsec_%%%" + long, part: "secret", detail: "is not base64"},
		"without the prefix":  {secret: strings.TrimPrefix(testSecret, "whsec_"), part: "secret", detail: "does not begin with"},
		"secret is too short": {secret: "whsec_QUJD", part: "secret", detail: "24 to 64 bytes"},

		"no id":                   {change: func(h map[string]string, _ *string) { delete(h, "webhook-id") }, part: "webhook-id", detail: "is missing"},
		"id as in WSGI":           {change: func(h map[string]string, _ *string) { h["HTTP_WEBHOOK_ID"] = h["webhook-id"]; delete(h, "webhook-id") }, part: "webhook-id", detail: "there is Http_webhook_id"},
		"id without its prefix":   {change: func(h map[string]string, _ *string) { h["webhook-id"] = testID[4:] }, part: "webhook-id", detail: "was changed"},
		"id in capitals":          {change: func(h map[string]string, _ *string) { h["webhook-id"] = strings.ToUpper(testID) }, part: "webhook-id", detail: "was changed"},
		"no timestamp":            {change: func(h map[string]string, _ *string) { delete(h, "webhook-timestamp") }, part: "webhook-timestamp", detail: "is missing"},
		"milliseconds":            {change: func(h map[string]string, _ *string) { h["webhook-timestamp"] += "000" }, part: "webhook-timestamp", detail: "too many for seconds"},
		"a date":                  {change: func(h map[string]string, _ *string) { h["webhook-timestamp"] = "yesterday" }, part: "webhook-timestamp", detail: `"yesterday"`},
		"another attempt's time":  {change: func(h map[string]string, _ *string) { h["webhook-timestamp"] = fmt.Sprint(sent.Unix() + 5*3600) }, part: "webhook-timestamp", detail: fmt.Sprint(sent.Unix(), " is signed")},
		"no signature":            {change: func(h map[string]string, _ *string) { delete(h, "webhook-signature") }, part: "webhook-signature", detail: "is missing"},
		"plus became a space":     {change: func(h map[string]string, _ *string) { h["webhook-signature"] = "v1,ab cd ef=" }, part: "webhook-signature", detail: "base64 of 32 bytes"},
		"v1a only":                {change: func(h map[string]string, _ *string) { h["webhook-signature"] = "v1a,AAAA" }, part: "webhook-signature", detail: `only "v1a"`},
		"signature of no version": {change: func(h map[string]string, _ *string) { h["webhook-signature"] = long }, part: "webhook-signature", detail: "is not like v1"},

		"body with a newline":    {change: func(_ map[string]string, b *string) { *b += "\n" }},
		"body with two":          {change: func(_ map[string]string, b *string) { *b += "\n\n" }, part: "body", detail: "without the white space around it"},
		"body with a mark":       {change: func(_ map[string]string, b *string) { *b = "\xef\xbb\xbf" + *b }, part: "body", detail: "byte order mark"},
		"body written again":     {change: func(_ map[string]string, b *string) { *b = indented(*b) }, part: "body", detail: "parsed and written again"},
		"body escaped by Python": {change: func(_ map[string]string, b *string) { *b = inASCII(*b) }, part: "body", detail: "in place of escapes"},
		"body escaped by PHP":    {change: func(_ map[string]string, b *string) { *b = strings.ReplaceAll(inASCII(*b), "/", `\/`) }, part: "body", detail: "in place of escapes"},
		"body escaped by Go": {change: func(_ map[string]string, b *string) {
			*b = strings.NewReplacer("<", `\u003c`, ">", `\u003e`).Replace(*b)
		}, part: "body", detail: "in place of escapes"},
		"body as a string":       {change: func(_ map[string]string, b *string) { s, _ := json.Marshal(*b); *b = string(s) }, part: "body", detail: "JSON string once more"},
		"body taken for Latin-1": {change: func(_ map[string]string, b *string) { *b = asLatin1(*b) }, part: "body", detail: "Latin-1"},
		"body was cut":           {change: func(h map[string]string, b *string) { h["content-length"] = fmt.Sprint(len(*b)); *b = (*b)[:40] }, part: "body", detail: "has 40 bytes, and content-length says"},
		"body is another one":    {change: func(_ map[string]string, b *string) { *b = strings.Replace(*b, "update", "delete", 1) }, part: "body", detail: "neither these"},
		"body is lost":           {change: func(_ map[string]string, b *string) { *b = "" }, part: "body", detail: "0 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := c.secret
			if key == "" {
				key = testSecret
			}
			r := Check(captured(t, c.change), key, c.at)
			text, _ := json.Marshal(r)
			if r.Verified != (c.part == "") {
				t.Errorf("verified: %t: %s", r.Verified, text)
			}
			if f := r.First(); f.Part != c.part || !strings.Contains(f.Detail, c.detail) || c.part != "" && f.Next == "" {
				t.Errorf("got %+v, want %s: %s", f, c.part, c.detail)
			}
			if len(r.Findings) != 5 {
				t.Errorf("%d findings, want one for each part: %s", len(r.Findings), text)
			}
			if k := strings.TrimSpace(key); len(k) > 12 && strings.Contains(string(text), k[6:]) {
				t.Errorf("the secret is shown: %s", text)
			}
		})
	}
}

func indented(body string) string {
	var b bytes.Buffer
	_ = json.Indent(&b, []byte(body), "", "  ")
	return b.String()
}

// inASCII is what json.dumps of Python makes of it, but for the spaces.
func inASCII(body string) string {
	var b strings.Builder
	for _, c := range body {
		switch {
		case c < 0x80:
			b.WriteRune(c)
		case c > 0xffff:
			c -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}

func asLatin1(body string) string {
	var b strings.Builder
	for _, c := range []byte(body) {
		b.WriteRune(rune(c))
	}
	return b.String()
}

func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw, id, body, err string
	}{
		"from the wire":     {raw: "POST / HTTP/1.1\r\nWebhook-Id: a\r\n\r\n{}\r\n", id: "a", body: "{}\r\n"},
		"from an editor":    {raw: "webhook-id: a\n\n{\n}", id: "a", body: "{\n}"},
		"from curl":         {raw: "> POST /hooks HTTP/2\n> webhook-id:a\n>  \n", err: "line 3"},
		"without a body":    {raw: "webhook-id: a", id: "a"},
		"empty":             {raw: "", err: "there are no headers"},
		"a body alone":      {raw: `{"type":"x"}`, err: "line 1 is no header"},
		"a broken header":   {raw: "POST / HTTP/1.1\nwebhook-id a\n\n", err: "line 2 is no header"},
		"no headers at all": {raw: "\n{}", err: "there are no headers"},
	} {
		got, err := Parse([]byte(c.raw))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got %v, want %s", name, err, c.err)
			}
			continue
		}
		if err != nil || got.Header.Get("webhook-id") != c.id || string(got.Body) != c.body {
			t.Errorf("%s: got %+v %v", name, got, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte("POST / HTTP/1.1\nwebhook-id: evt_a\nwebhook-timestamp: 1795323242\nwebhook-signature: v1,AAAA\n\n{\"a\":\"\\u00fc\\/\"}"))
	f.Add([]byte("webhook-id: a\n\n\"\\ud83d\\ude42\\u"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := Parse(raw)
		if err != nil {
			return
		}
		for _, v := range variants(c.Body) {
			if v.how == "" {
				t.Error("a variant without a word")
			}
		}
		c.Header.Set("Webhook-Timestamp", "x") // no search of all times
		if Check(c, testSecret, time.Time{}).Verified {
			t.Errorf("verified: %q", raw)
		}
	})
}
