package client

import "encoding/json"

// Request says how requests to a target are made; what is zero is the default.
type Request struct {
	// Format is standard, rest_hooks, representation, thin or cloudevents.
	Format string `json:"format,omitzero"`
	// Signature is standard, standard_v1a, rest_hooks, github, stripe, slack, twilio, vonage or none.
	Signature string `json:"signature,omitzero"`
	// Encoding is json or form.
	Encoding string `json:"encoding,omitzero"`
	// Method is POST, PUT or GET.
	Method string `json:"method,omitzero"`
	// Headers are sent too. Their values are *** when they are received; sent back, that keeps what is stored.
	Headers map[string]string `json:"headers,omitzero"`
	Auth    *Auth             `json:"auth,omitzero"`
	// Compression is none or gzip.
	Compression string `json:"compression,omitzero"`
	// CustomData is a JSON object whose members stand in every body.
	CustomData json.RawMessage `json:"custom_data,omitzero"`
}

// Auth is how rowhook logs in to a target. What is secret is *** when it is received.
type Auth struct {
	// Type is bearer (Token), basic (Username, Password), header (Name, Value) or oauth2 (the rest).
	Type     string `json:"type"`
	Token    string `json:"token,omitzero"`
	Username string `json:"username,omitzero"`
	Password string `json:"password,omitzero"`
	Name     string `json:"name,omitzero"`
	Value    string `json:"value,omitzero"`
	// TokenURL is asked for a token with the grant client_credentials.
	TokenURL     string `json:"token_url,omitzero"`
	ClientID     string `json:"client_id,omitzero"`
	ClientSecret string `json:"client_secret,omitzero"`
	Scope        string `json:"scope,omitzero"`
	Audience     string `json:"audience,omitzero"`
}
