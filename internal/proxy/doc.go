// Package proxy is the reverse proxy before the application: some paths are answered by a handler that it is given, all
// else goes to the application and comes back as it is.
//
// What it promises: target, headers and body of a request arrive as the client sent them, but for what HTTP says of each
// hop and for the headers that tell who asked (docs/proxy.md lists it all); nothing is gathered before it is passed on; no
// request that the application may have begun is sent again, unless its method is a safe one.
//
// It owns no listener and no goroutine beyond those of its requests: see Server.
package proxy
