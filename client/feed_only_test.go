package client_test

import (
	"encoding/json"
	"testing"

	"github.com/rowhook/rowhook/client"
)

// TestFeedOnly: a target that is null is told apart from one that is left out, both ways.
func TestFeedOnly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]client.Subscription{
		`{"events":["*"],"target_url":null}`:                {Events: []string{"*"}, FeedOnly: true},
		`{"events":["*"]}`:                                  {Events: []string{"*"}},
		`{"events":["*"],"target_url":"https://a.example"}`: {Events: []string{"*"}, TargetURL: "https://a.example"},
	} {
		var got client.Subscription
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.FeedOnly != want.FeedOnly || got.TargetURL != want.TargetURL {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		for _, v := range []any{want, &want, []*client.Subscription{&want}} {
			if b, err := json.Marshal(v); err != nil || string(b) != text && string(b) != "["+text+"]" {
				t.Errorf("got %s, want %s, %v", b, text, err)
			}
		}
	}
}
