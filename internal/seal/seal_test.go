package seal_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/internal/secret"
)

const (
	oldKey = secret.String("1f0e0d0c0b0a09080706050403020100f0e0d0c0b0a090807060504030201000")
	newKey = secret.String("MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXY=")
)

func keys(t *testing.T, texts ...secret.String) *seal.Keys {
	t.Helper()
	k, err := seal.New(texts...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealedTextsOpenInTheirPlace(t *testing.T) {
	k := keys(t, oldKey)
	a, b := k.Seal("whsec_x", "sub_1"), k.Seal("whsec_x", "sub_1")
	if a == b || strings.Contains(a, "whsec") || !strings.HasPrefix(a, k.Prefix()) {
		t.Errorf("%q and %q: the same text seals differently each time, and begins with %q", a, b, k.Prefix())
	}
	if got, err := k.Open(a, "sub_1"); got != "whsec_x" || err != nil {
		t.Errorf("opened %q, %v", got, err)
	}
	if _, err := k.Open(a, "sub_2"); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("in another place: %v", err)
	}
	flipped := []byte(a)
	flipped[len(flipped)-5] ^= 1
	if _, err := k.Open(string(flipped), "sub_1"); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("changed: %v", err)
	}
	if got, err := k.Open("https://example.com/", "sub_1"); got != "https://example.com/" || err != nil {
		t.Errorf("what was never sealed: %q, %v", got, err)
	}
}

func TestRotation(t *testing.T) {
	sealed := keys(t, oldKey).Seal("x", "p")
	both, only := keys(t, newKey, oldKey), keys(t, newKey)
	if got, err := both.Open(sealed, "p"); got != "x" || err != nil {
		t.Errorf("with both: %q, %v", got, err)
	}
	if strings.HasPrefix(sealed, both.Prefix()) {
		t.Error("the old key's text counts as the new one's")
	}
	var none *seal.Keys
	for _, k := range []*seal.Keys{only, none} {
		if _, err := k.Open(sealed, "p"); !errors.Is(err, seal.ErrNoKey) || strings.Contains(err.Error(), oldKey.Reveal()) {
			t.Errorf("without the old key: %v", err)
		}
	}
	if got, err := only.Open(both.Seal("y", "p"), "p"); got != "y" || err != nil {
		t.Errorf("the first key seals: %q, %v", got, err)
	}
}

func TestKeys(t *testing.T) {
	for _, wrong := range []secret.String{"", "short", "MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dQ==",
		"0000000000000000000000000000000000000000000000000000000000000000", newKey + newKey} {
		if _, err := seal.New(wrong); err == nil {
			t.Errorf("%q was taken", wrong.Reveal())
		} else if wrong != "" && strings.Contains(err.Error(), wrong.Reveal()) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	if k, err := seal.New(); k != nil || err != nil {
		t.Errorf("without keys: %v, %v", k, err)
	}
}

func FuzzOpen(f *testing.F) {
	k, err := seal.New(oldKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.Seal("x", "p"))
	f.Add("sealed.v1.")
	f.Add("sealed.v1.aa.%%")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := k.Open(text, "p")
		if err == nil && strings.HasPrefix(text, "sealed.v1.") && strings.Count(text, ".") >= 3 && got == text {
			t.Errorf("%q came back as it was", text)
		}
	})
}
