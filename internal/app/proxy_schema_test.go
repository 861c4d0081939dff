package app_test

import (
	"strings"
	"testing"
)

// TestProxyAloneHasLabels tells the same schemas as the process that reads the changes.
func TestProxyAloneHasLabels(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(`create type mood as enum ('sunny', 'dull'); alter table contacts add column mood mood;`)
	p := startProxied(t, loadConfig(t, strings.Replace(strings.Replace(configText, "      type: contact\n", "      type: contact\n      mood: ${mood}\n", 1),
		"api:\n", "app: {url: '"+application(t)+"'}\nproxy: {listen: '127.0.0.1:0', identity: {path: /me, account: account}}\napi:\n", 1), r.url, r.slot), true)
	<-p.ready
	var body string
	eventually(t, "there are schemas", func() bool {
		var status int
		status, body = p.ask("GET", "/api/v1/event-type/contact.create/schema")
		return status == 200
	})
	if !strings.Contains(body, `"enum":["sunny","dull",null]`) {
		t.Errorf("the labels are not told: %s", body)
	}
}
