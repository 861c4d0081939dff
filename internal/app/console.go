package app

import (
	"net/http"

	"github.com/rowhook/rowhook/internal/config"
)

// consoleOf serves the console, or is nil. It is not on the proxy's listener: whoever calls there is a customer of the application, who
// knows no token, and paths beside the API's are the application's own.
func (a *App) consoleOf(cfg *config.Config) http.Handler {
	if !cfg.API.Console {
		return nil
	}
	return a.console
}
