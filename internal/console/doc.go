// Package console serves the console: static files that are part of the program and use nothing but the public REST API.
//
// The pages are modules in script/, of which one script is built that is served: make console-script. What is served is in site/.
//
// It knows nothing of ours, and has no state: who may see what, the API decides.
package console
