// Package compare tells how two JSON values differ: the body that rowhook would send, and what the application's API
// answers. Where one rule or one word of the config would make them equal, it says which. It knows nothing of where the
// values come from.
package compare
