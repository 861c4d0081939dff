package app

import (
	"github.com/rowhook/rowhook/internal/application"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/mapping"
)

// useMapper lets transactions that begin now be mapped by it, and thin bodies tell where its instances are.
func (a *App) useMapper(cfg *config.Config, m *mapping.Mapper) {
	location := application.Location(cfg.App.PublicURL, m)
	a.mapper.Store(m)
	a.location.Store(&location)
}

// locationOf is the URL of an instance in the application's API, empty where there is none.
func (a *App) locationOf(resource, instance string) string {
	if location := a.location.Load(); location != nil {
		return (*location)(resource, instance)
	}
	return ""
}
