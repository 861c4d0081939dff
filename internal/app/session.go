package app

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/internal/secret"
)

// sessionKeys seal the cookies of the console's sessions: derived from what the config keeps secret, so that a restart ends no session and
// a standby takes those of the process before. That is store.encryption_key, with the keys before it, or, without one, the tokens of the config
// and the database's URL together. Where nothing is secret in the config, a session ends with the process.
func (a *App) sessionKeys(cfg *config.Config) *seal.Keys {
	var of []string
	switch {
	case cfg.Store.EncryptionKey != "":
		for _, k := range append([]secret.String{cfg.Store.EncryptionKey}, cfg.Store.PreviousKeys...) {
			of = append(of, k.Reveal())
		}
	case len(cfg.API.Tokens) > 0:
		var all []string
		for _, t := range cfg.API.Tokens {
			all = append(all, t.Token.Reveal())
		}
		slices.Sort(all)
		of = []string{strings.Join(append(all, cfg.Database.URL.Reveal()), "\x00")}
	default:
		of = []string{a.ownKey.Reveal()}
	}
	keys := make([]secret.String, len(of))
	for i, text := range of {
		b, err := hkdf.Key(sha256.New, []byte(text), nil, "rowhook sessions", sha256.Size)
		if err != nil { // only a length that is too large is one
			return nil
		}
		keys[i] = secret.String(base64.StdEncoding.EncodeToString(b))
	}
	sealing, err := seal.New(keys...)
	if err != nil { // one of 32 equal bytes: nobody logs in
		return nil
	}
	return sealing
}
