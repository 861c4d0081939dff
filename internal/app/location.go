package app

import (
	"github.com/rowhook/rowhook/internal/application"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/mapping"
)

// useMapper lets transactions that begin now be mapped by it, thin bodies tell where its instances are, and changes of
// them be merged.
func (a *App) useMapper(cfg *config.Config, m *mapping.Mapper) {
	location := application.Location(cfg.App.PublicURL, m)
	a.mapper.Store(m)
	a.location.Store(&location)
	a.members.Store(m.Members())
}

// nested, told and touched say what the data of a resource are made of.
func (a *App) nested(resource string, path []string) bool {
	m := a.members.Load()
	return m != nil && m.Nested(resource, path)
}

func (a *App) told(resource string) bool {
	m := a.members.Load()
	return m != nil && m.Told(resource)
}

func (a *App) touched(resource string) bool {
	m := a.mapper.Load()
	return m != nil && m.IsTouched(resource)
}

// locationOf is the URL of an instance in the application's API, empty where there is none.
func (a *App) locationOf(resource, instance string) string {
	if location := a.location.Load(); location != nil {
		return (*location)(resource, instance)
	}
	return ""
}
