package store

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// different changes a value of any kind that a subscription has to another one.
func different(t *testing.T, v reflect.Value, name string) {
	t.Helper()
	soon := time.Date(2999, 1, 2, 3, 4, 5, 6000, time.UTC)
	if !v.IsZero() && v.Kind() != reflect.Struct && v.Kind() != reflect.Pointer && v.Kind() != reflect.Slice {
		t.Fatalf("%s is set already", name)
	}
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(soon))
		return
	}
	if v.Type() == reflect.TypeFor[[]byte]() || v.Type() == reflect.TypeFor[json.RawMessage]() {
		v.SetBytes([]byte(`{"a":1}`))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x " + name)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{name: "y"}))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		different(t, v.Index(0), name)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		different(t, v.Elem(), name)
	case reflect.Struct:
		for i := range v.NumField() {
			different(t, v.Field(i), name+"."+v.Type().Field(i).Name)
		}
	default:
		t.Fatalf("%s is a %s: teach this test", name, v.Kind())
	}
}

// TestEveryFieldIsKept through Create, Update, Get, Each and the index: a field that is new has to be named in each of them, and
// one that is forgotten is lost in silence.
func TestEveryFieldIsKept(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	ctx := t.Context()
	// Set by the store, or in the other of the two ways.
	own := map[string]bool{"Key": true, "ID": true, "Version": true, "Since": true, "CreatedAt": true, "UpdatedAt": true, "FilterError": true, "Failing": true,
		"Account": true, "Admin": true, "VerificationStatus": true, "Secrets": true, "Delivery": true, "Request": true, "State": true}
	// What only the owner reads.
	unpacked := map[string]bool{"FilterError": true, "Failing": true, "Disabled": true, "Verification": true, "VerificationStatus": true, "NotifyEnd": true, "Name": true,
		"Description": true, "Metadata": true, "CreatedAt": true, "UpdatedAt": true}
	filled := func(id string) *subscriptions.Subscription {
		x := &subscriptions.Subscription{ID: id, Account: "1", State: subscriptions.Shadow}
		v := reflect.ValueOf(x).Elem()
		for i := range v.NumField() {
			if f := v.Type().Field(i); !own[f.Name] {
				different(t, v.Field(i), f.Name)
			}
		}
		timeout := subscriptions.Duration(time.Second)
		x.Delivery = subscriptions.DeliveryOptions{Timeout: &timeout, Retries: &subscriptions.Retries{IsCount: true, Count: 3}, Ordering: subscriptions.OrderingNone, MaxInFlight: 9,
			RateLimit: subscriptions.Rate{Count: 600, Unit: 'm'},
			Batch:     &subscriptions.Batch{Max: 3, Bytes: 5 << 10, Wait: subscriptions.Duration(time.Minute)}, MaxBody: 4 << 10}
		x.Request = &subscriptions.Request{}
		different(t, reflect.ValueOf(x.Request).Elem(), "Request")
		// A login has the members of its type.
		x.Request.Auth = &subscriptions.Auth{Type: subscriptions.AuthBasic, Username: "u", Password: "p"}
		x.Secrets = []subscriptions.SigningSecret{{Secret: subscriptions.NewSecret()}, {Secret: subscriptions.NewSecret(), Until: x.ExpiresAt}}
		at := x.ExpiresAt
		x.VerificationStatus = &subscriptions.VerificationStatus{NextAttempt: &at, ExpiresAt: &at, Value: secret.String(subscriptions.ValuePrefix + id)}
		return x
	}
	see := func(what string, want *subscriptions.Subscription) {
		t.Helper()
		got, err := s.Get(ctx, adminScope, want.ID)
		if err != nil {
			t.Fatal(err)
		}
		index := subscriptions.NewIndex()
		var each *subscriptions.Subscription
		err = s.Each(ctx, func(x *subscriptions.Subscription) {
			index.Put(x)
			if x.ID == want.ID {
				each = x.Clone()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		packed := index.Get(want.ID)
		w := reflect.ValueOf(want).Elem()
		for i := range w.NumField() {
			name := w.Type().Field(i).Name
			for by, x := range map[string]*subscriptions.Subscription{"Get": got, "Each": each, "Index": packed} {
				if by != "Get" && unpacked[name] {
					continue
				}
				if have := reflect.ValueOf(x).Elem().Field(i).Interface(); !reflect.DeepEqual(have, w.Field(i).Interface()) {
					t.Errorf("%s, %s: %s is %+v, want %+v", what, by, name, have, w.Field(i).Interface())
				}
			}
		}
	}
	made := filled("sub_made")
	if err := s.Create(ctx, made, 0); err != nil {
		t.Fatal(err)
	}
	see("made", made)
	changed := &subscriptions.Subscription{ID: "sub_changed", Account: "1", Events: []string{"a.*"}, State: subscriptions.Active}
	if err := s.Create(ctx, changed, 0); err != nil {
		t.Fatal(err)
	}
	now, err := s.Update(ctx, adminScope, changed.ID, func(x *subscriptions.Subscription) error {
		full := filled(x.ID)
		full.Key, full.Version, full.Since, full.CreatedAt = x.Key, x.Version, x.Since, x.CreatedAt
		*x = *full
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	see("changed", now)

	// The announcement, and what is matched by it, has every field that decides who is matched.
	a := subscriptions.Announce(now, s.ID())
	bare := &subscriptions.Subscription{Key: now.Key, ID: now.ID, Account: "1", Since: cdc.LSN(1)}
	as := bare.WithAnnouncement(a)
	for _, name := range []string{"Version", "Events", "ResourceID", "Filter", "IgnoreSources", "State", "ExpiresAt"} {
		have, want := reflect.ValueOf(as).Elem().FieldByName(name).Interface(), reflect.ValueOf(now).Elem().FieldByName(name).Interface()
		if !reflect.DeepEqual(have, want) {
			t.Errorf("announced: %s is %+v, want %+v", name, have, want)
		}
	}
}
