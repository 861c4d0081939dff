package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
)

const (
	// fetchTimeout bounds a fetch of the keys, maxKeySet its answer in bytes, maxKeys what is used of it.
	fetchTimeout = 5 * time.Second
	maxKeySet    = 1 << 20
	maxKeys      = 100
	// freshFor is how long keys are used before they are fetched again, staleFor how long where they cannot be.
	freshFor = 5 * time.Minute
	staleFor = 24 * time.Hour
	// fetchEvery is the least time between two fetches, whoever asks for unknown keys; firstEvery before there are any.
	fetchEvery = 10 * time.Second
	firstEvery = time.Second
)

// keySet has the keys at an address.
type keySet struct {
	url    string
	agent  string
	client *http.Client
	log    *slog.Logger
	now    func() time.Time

	current atomic.Pointer[fetched]
	// fetching is held by the one that fetches; what follows belongs to it.
	fetching chan struct{}
	tried    time.Time
	failed   error
}

// fetched is what was at the address.
type fetched struct {
	keys []verificationKey
	at   time.Time
}

func newKeySet(url string, o Options) *keySet {
	return &keySet{
		url: url, agent: o.UserAgent, log: o.Log, now: time.Now, fetching: make(chan struct{}, 1),
		client: &http.Client{
			Timeout: fetchTimeout,
			// Another address is another's word.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
				TLSHandshakeTimeout: fetchTimeout,
			},
		},
	}
}

func (s *keySet) close() { s.client.CloseIdleConnections() }

func (s *keySet) find(ctx context.Context, id string, named bool) ([]verificationKey, error) {
	has := s.current.Load()
	found := has.named(id, named)
	now := s.now()
	old := has == nil || now.Sub(has.at) >= freshFor
	if old || len(found) == 0 {
		failed := s.fetch(ctx, has, old && len(found) > 0)
		if has = s.current.Load(); has == nil || now.Sub(has.at) >= staleFor {
			return nil, errors.Join(errKeysAway, failed)
		}
		// A key may be new at an issuer who cannot be reached.
		if found = has.named(id, named); len(found) == 0 && failed != nil {
			return nil, errors.Join(errKeysAway, failed)
		}
	}
	if len(found) == 0 {
		return nil, errUnknownKey
	}
	return found, nil
}

func (f *fetched) named(id string, named bool) (found []verificationKey) {
	if f == nil {
		return nil
	}
	for _, k := range f.keys {
		if !named || k.id == id {
			found = append(found, k)
		}
	}
	return found
}

// fetch fetches the keys, unless that was tried just now, or somebody has since the caller looked. Whoever can go on with what
// there is does not wait for another's fetch. The error is that of the last one.
func (s *keySet) fetch(ctx context.Context, seen *fetched, goOn bool) error {
	if goOn {
		select {
		case s.fetching <- struct{}{}:
		default:
			return nil
		}
	} else {
		select {
		case s.fetching <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-s.fetching }()
	if s.current.Load() != seen {
		return nil
	}
	wait := fetchEvery
	if seen == nil {
		wait = firstEvery
	}
	if !s.tried.IsZero() && s.now().Sub(s.tried) < wait {
		return s.failed
	}
	s.tried = s.now()
	// The caller may go; the keys are for all.
	keys, err := s.read(context.WithoutCancel(ctx))
	if err != nil {
		err = fmt.Errorf("fetch %s: %w", s.url, err)
		if s.failed == nil {
			s.log.Error("the keys of proxy.identity.jwt cannot be fetched", "error", err)
		}
		s.failed = err
		return err
	}
	if s.failed != nil {
		s.log.Info("the keys of proxy.identity.jwt are fetched again")
	}
	s.failed = nil
	s.current.Store(&fetched{keys: keys, at: s.tried})
	return nil
}

// read asks for the keys and takes those that tokens can be signed with.
func (s *keySet) read(ctx context.Context) ([]verificationKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, errors.New("that is no URL")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("User-Agent", s.agent)
	resp, err := s.client.Do(req)
	if err != nil {
		for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
			err = next
		}
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(body) > maxKeySet || json.Unmarshal(body, &set) != nil {
		return nil, errors.New("the answer is no JSON Web Key Set")
	}
	var keys []verificationKey
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		if k, ok := readKey(raw); ok {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no public key that tokens are signed with is in it")
	}
	return keys, nil
}

// readKey takes a public key that is for signatures. Private parts and shared secrets are nothing that is published.
func readKey(raw json.RawMessage) (verificationKey, bool) {
	k, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{SkipAll: true})
	if err != nil {
		return verificationKey{}, false
	}
	m := k.Marshal()
	out := verificationKey{id: m.KID, algorithm: string(m.ALG), key: k.Key()}
	if use := string(m.USE); use != "" && use != "sig" || algorithmsOf(out.key) == nil {
		return verificationKey{}, false
	}
	if _, secret := out.key.([]byte); secret {
		return verificationKey{}, false
	}
	return out, true
}
