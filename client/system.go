package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// CheckReport is what rowhook check finds, of the config that runs.
type CheckReport struct {
	// At is when it was looked, TookMS how long that took, in milliseconds.
	At     time.Time `json:"at"`
	TookMS float64   `json:"took_ms"`
	// OK says that there are no errors.
	OK       bool `json:"ok"`
	Errors   int  `json:"errors"`
	Warnings int  `json:"warnings"`
	// Findings are sorted: errors first.
	Findings []CheckFinding `json:"findings"`
	// Good says in a line each what is as it should be.
	Good []string `json:"good"`
}

// CheckFinding is one thing that is not as it should be.
type CheckFinding struct {
	// Level is error, warning or info.
	Level string `json:"level"`
	// Place is file:line:column of the config, or the object: table public.contacts.
	Place string `json:"place"`
	// What is so, Consequence what follows, Mend the next step. The last two may be empty.
	What        string `json:"what"`
	Consequence string `json:"consequence,omitempty"`
	Mend        string `json:"mend,omitempty"`
	// SQL mends it, where SQL can: all of it, in this order.
	SQL []CheckStatement `json:"sql,omitempty"`
}

// CheckStatement is SQL that mends something.
type CheckStatement struct {
	Statement string `json:"statement"`
	// Note is what to know before it is run.
	Note string `json:"note,omitempty"`
	// Database names another database than the source's, in which it is to be run.
	Database string `json:"database,omitempty"`
}

// LoadedConfig is the config that runs.
type LoadedConfig struct {
	Path     string    `json:"path"`
	LoadedAt time.Time `json:"loaded_at"`
	// Text is the file, with *** in the place of what is secret, and without comments.
	Text string `json:"text"`
}

// Resource is a resource of the config.
type Resource struct {
	Name string `json:"name"`
	// Table is schema.name.
	Table string `json:"table"`
	// Key are the columns that name an instance; empty while the table is not known.
	Key []string `json:"key"`
	// Account is the expression that says whose a row is; nil where only the admin has the resource.
	Account *string         `json:"account"`
	Events  []ResourceEvent `json:"events"`
	// Fit says that the mapping fits the table, and all events of it are made. Reason says why not.
	Fit    bool   `json:"fit"`
	Reason string `json:"reason,omitempty"`
	// Path is the address of an instance below the application's; nil where there is none.
	Path *string `json:"path"`
	// Compare says that it can be compared with the application's API.
	Compare bool `json:"compare"`
	// Relations are the names of relations, FromAPI the fields that the application is asked for.
	Relations []string `json:"relations"`
	FromAPI   []string `json:"from_api"`
	// YAML is its entry in the config file, and Line the line in which that begins. A list has neither.
	YAML string `json:"yaml,omitempty"`
	Line int    `json:"line,omitempty"`
}

// ResourceEvent is an event of a resource.
type ResourceEvent struct {
	Name string `json:"name"`
	// AdminOnly events are not for customers. Reason says why, or why nobody has it.
	AdminOnly bool   `json:"admin_only"`
	Reason    string `json:"reason,omitempty"`
}

// Check tells what rowhook check finds, of the config that runs. Fresh looks anew, where an answer of a moment ago would do.
func (c *Client) Check(ctx context.Context, fresh bool) (*CheckReport, error) {
	route := "/check"
	if fresh {
		route += "?fresh=true"
	}
	return fetch[CheckReport](ctx, c, route)
}

// Config returns the config that runs, without its secrets.
func (c *Client) Config(ctx context.Context) (*LoadedConfig, error) {
	return fetch[LoadedConfig](ctx, c, "/config")
}

// Resources returns the resources of the config, in its order.
func (c *Client) Resources(ctx context.Context) ([]Resource, error) {
	all, err := fetch[[]Resource](ctx, c, "/resource/")
	if err != nil {
		return nil, err
	}
	return *all, nil
}

// Resource returns a resource of the config, with its entry in the file.
func (c *Client) Resource(ctx context.Context, name string) (*Resource, error) {
	if name == "" || name == "." || name == ".." {
		return nil, errors.New("a resource has a name")
	}
	return fetch[Resource](ctx, c, "/resource/"+url.PathEscape(name)+"/")
}

func fetch[T any](ctx context.Context, c *Client, route string) (*T, error) {
	at, err := c.address(route)
	if err != nil {
		return nil, err
	}
	v := new(T)
	if _, err := c.do(ctx, http.MethodGet, at, nil, v); err != nil {
		return nil, err
	}
	return v, nil
}
