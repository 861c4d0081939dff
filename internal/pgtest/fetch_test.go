//go:build unix

package pgtest

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// archive is a .tar.xz of bin/initdb, which refuses, and bin/postgres, which says its version; both are shell scripts.
const archive = "/Td6WFoAAAFpIt42AgAhARwAAAAQz1jM4Cf/AKBdADEaShsO1TDyWxuE7yh9tnRTrysNXAd5TfTfWvjsHD+Q+/i3qr1iq3T1lTb/" +
	"AYkh+h6x3ktDYYOkV+bIjVasBkI9lAZmjlteOCEq6h8jhL8/FQFOjdqSyxdKOFMuohrTPYDupc13BSDo+tHv9GzGyaEYoXmwA8Wu" +
	"2Bwty9vL2KtxSPnY/NPgcp2CktazCffhx8Q9/aJ3/gGHmoJRWHHr6QAAGOGpjQABuAGAUAAA/vRJiT4wDYsCAAAAAAFZWg=="

// repository is a Maven repository with that archive for every system.
func repository(t *testing.T, downloads *atomic.Int32) string {
	t.Helper()
	packed, err := base64.StdEncoding.DecodeString(archive)
	if err != nil {
		t.Fatal(err)
	}
	var jar bytes.Buffer
	w := zip.NewWriter(&jar)
	f, err := w.Create("postgres.txz")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Write(packed)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, ".jar"):
			downloads.Add(1)
			_, _ = w.Write(jar.Bytes())
		case strings.HasSuffix(r.URL.Path, ".sha256"):
			sum := sha256.Sum256(jar.Bytes())
			_, _ = w.Write([]byte(hex.EncodeToString(sum[:])))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestFetch(t *testing.T) {
	t.Parallel()
	t.Run("OnceForAll", func(t *testing.T) {
		t.Parallel()
		var downloads, said atomic.Int32
		f := fetcher{
			repository: repository(t, &downloads), cache: filepath.Join(t.TempDir(), "cache"), version: "17.5.0",
			progress: func(string) { said.Add(1) },
		}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				bin, err := f.fetch(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := thisHost().probe(bin); err != nil || got.major != 17 {
					t.Errorf("got %+v, %v, want version 17", got, err)
				}
			})
		}
		all.Wait()
		if got := downloads.Load(); got != 1 {
			t.Errorf("downloaded %d times, want 1", got)
		}
		if got := said.Load(); got != 1 {
			t.Errorf("said %d times that it fetches, want 1", got)
		}
		entries, err := os.ReadDir(f.cache)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != 2 {
			t.Errorf("got %v in the cache, want the binaries and the lock", entries)
		}
	})
	t.Run("UnreachableIsSaid", func(t *testing.T) {
		t.Parallel()
		f := fetcher{repository: "http://127.0.0.1:1", cache: t.TempDir(), version: "17.5.0", progress: func(string) {}}
		if _, err := f.fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "fetch Postgres 17.5.0 for ") {
			t.Errorf("got %v, want it to say what it fetches", err)
		}
	})
	t.Run("HangingRepositoryIsLeft", func(t *testing.T) {
		t.Parallel()
		release := make(chan struct{})
		srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		defer srv.Close()
		defer close(release)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		cache, err := os.MkdirTemp("", "pgtest-fetch-") // not t.TempDir: what fetches goes on in the background
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(cache)
		f := fetcher{repository: srv.URL, cache: cache, version: "17.5.0", progress: func(string) {}}
		if _, err := f.fetch(ctx); err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
			t.Errorf("got %v, want a timeout", err)
		}
	})
}

func TestMemory(t *testing.T) {
	t.Parallel()
	parent, err := parentDir(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	want := os.TempDir()
	if freeSpace(memoryDir) >= enoughMemory {
		want = memoryDir
	}
	if parent != want {
		t.Errorf("got %s, want %s", parent, want)
	}
}
