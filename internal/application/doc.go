// Package application asks the application, whose data the database holds, for its own answers: GET app.url + path, with
// the headers of the config. An answer is one JSON value, bounded in size and time, with its digits as they came. Nothing
// is asked of another host than app.url's, whatever the answer says.
package application
