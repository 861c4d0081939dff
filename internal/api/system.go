package api

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/rowhook/rowhook/client"
)

// System tells the admin what runs: the config and what is wrong with it, and the resources that it maps.
type System interface {
	// Check looks at config and database as rowhook check does. What it has found a moment ago will do, unless fresh is set.
	Check(ctx context.Context, fresh bool) (*client.CheckReport, error)
	// Config is the config file without its secrets. It is false where there was no file.
	Config() (*client.LoadedConfig, bool, error)
	// Resources are those of the config, without their entries in the file.
	Resources() []client.Resource
	// Resource is one of them, with its entry. It is false where there is none.
	Resource(name string) (*client.Resource, bool)
	// Preview shows what mappings make of a row of a resource, Compare how what would be sent differs from the application's answers. Their
	// errors are ErrNoResource, NoRowError and RequestError; all others are of the source or the application.
	Preview(ctx context.Context, resource string, r client.PreviewRequest) (*client.ResourcePreview, error)
	Compare(ctx context.Context, resource string, r client.CompareRequest) (*client.Comparison, error)
}

var (
	check      = route{admin: true, diagnosis: true, methods: map[string]action{http.MethodGet: (*Server).check}}
	configText = route{admin: true, diagnosis: true, methods: map[string]action{http.MethodGet: (*Server).configText}}
	resources  = route{admin: true, diagnosis: true, methods: map[string]action{http.MethodGet: (*Server).resources}}
	resource   = route{admin: true, diagnosis: true, methods: map[string]action{http.MethodGet: (*Server).resource}}
)

// systemRoutes are those of System.
func systemRoutes() []placed {
	return []placed{{path: "/check", route: check}, {path: "/config", route: configText}, {path: "/resource/", route: resources}, {path: "/resource/{name}/", route: resource},
		{path: "/resource/{name}/preview", route: previewing}, {path: "/resource/{name}/compare", route: comparing}}
}

func (s *Server) check(c call) (answer, error) {
	query := c.r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if name != "fresh" {
			return answer{}, badQuery(name, "is not a parameter: there is fresh")
		}
	}
	fresh := query.Get("fresh")
	if fresh != "" && fresh != "true" {
		return answer{}, badQuery("fresh", "is not true: give true, or leave it out")
	}
	r, err := s.config.System.Check(c.r.Context(), fresh == "true")
	if err != nil {
		return answer{}, err
	}
	return ok(r)
}

func (s *Server) configText(call) (answer, error) {
	v, there, err := s.config.System.Config()
	if err != nil {
		return answer{}, err
	}
	if !there {
		return notFound("this rowhook was not started with a config file"), nil
	}
	return ok(v)
}

func (s *Server) resources(call) (answer, error) { return ok(s.config.System.Resources()) }

func (s *Server) resource(c call) (answer, error) {
	v, there := s.config.System.Resource(c.id)
	if !there {
		return notFound("the config has no such resource"), nil
	}
	return ok(v)
}
