package api

import (
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/rowhook/rowhook/internal/apidoc"
)

// Missing are what the document does not tell of.
func (s *Server) Missing() []string { return s.described().missing }

// Routes are the methods and paths that there are.
func (s *Server) Routes() (all []string) {
	for _, p := range s.table {
		for method := range p.methods {
			all = append(all, method+" "+p.path)
		}
	}
	return all
}

// Operations are those that are told, whatever a server has.
func Operations() (all []string) {
	for _, op := range operations(builder("").Types) {
		all = append(all, op.Method+" "+op.Path)
	}
	return all
}

// ParseDeliveryID is the reverse of DeliveryID.
var ParseDeliveryID = parseDeliveryID

// ListParameters are what the list of subscriptions takes.
var ListParameters = listParameters

// Types are those of the document.
func Types() *apidoc.Types { return builder("").Types }

// Fields are what is told of fields.
func Fields() map[string]apidoc.Field { return fields }

// SetPulse is how often streams say that they live.
func (s *Server) SetPulse(d time.Duration) { s.pulse = d }

// SessionCookie is that of a session at a host with the token, which began and was used then, over plain http.
func (s *Server) SessionCookie(host, token string, began, used time.Time) *http.Cookie {
	return s.cookie(&http.Request{Host: host}, ticket{hash: sha256.Sum256([]byte(token)), id: [16]byte{1}, began: began, used: used})
}
