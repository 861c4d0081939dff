package api

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/rowhook/rowhook/client"
)

var imports = route{admin: true, methods: map[string]action{http.MethodPost: (*Server).importOne}}

// importOne takes over a subscription from elsewhere, with its id. The same again changes nothing.
func (s *Server) importOne(c call) (answer, error) {
	dry, err := dryRun(c.r.URL.Query())
	if err != nil {
		return answer{}, err
	}
	body, err := readBody(c.r, "application/json")
	if err != nil {
		return answer{}, err
	}
	rules, err := s.rules(c)
	if err != nil {
		return answer{}, err
	}
	x, err := rules.Import(body)
	if err != nil {
		return answer{}, err
	}
	found, err := s.config.Repository.Import(c.r.Context(), x.Subscription, dry)
	if err != nil {
		return answer{}, err
	}
	told := client.Imported{ID: x.ID, Result: client.ImportMade, DryRun: dry}
	status := http.StatusOK
	switch {
	case found != nil:
		told.Result = client.ImportPresent
		if differs := x.Differs(found); differs != nil {
			p := client.Problem{Type: "import-differs", Title: "Another subscription has the id", Status: http.StatusConflict,
				Detail: "the subscription with this id is another one, or was changed since: give this one another id, or leave it out"}
			for _, m := range differs {
				p.Errors = append(p.Errors, client.FieldError{Field: m.Field, Detail: m.Detail})
			}
			return problemAnswer(p), nil
		}
	case !dry:
		status = http.StatusCreated
		if !x.SecretGiven {
			told.Secret = x.Secrets[0].Secret.Reveal()
		}
	}
	a, err := jsonAnswer(status, "application/json", told)
	if status == http.StatusCreated {
		a.header("Location", s.base+"/subscription/"+url.PathEscape(x.ID)+"/")
		a.header("ETag", tag(x.Subscription))
	}
	return a, err
}

// dryRun reads the one parameter of an import.
func dryRun(query url.Values) (bool, error) {
	for name, values := range query {
		if name != "dry_run" {
			return false, badQuery(name, "is not a parameter: there is dry_run")
		}
		dry, err := strconv.ParseBool(values[0])
		if err != nil || len(values) > 1 {
			return false, badQuery(name, "is neither true nor false")
		}
		return dry, nil
	}
	return false, nil
}
