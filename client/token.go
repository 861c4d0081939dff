package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
)

// CreateToken makes a token and returns it with its text, which cannot be read again. It needs an admin's token, as do the
// other methods for tokens.
func (c *Client) CreateToken(ctx context.Context, n NewToken) (*Token, error) {
	at, err := c.address("/token/")
	if err != nil {
		return nil, err
	}
	t := new(Token)
	if _, err := c.do(ctx, http.MethodPost, at, n, t); err != nil {
		return nil, err
	}
	return t, nil
}

// Tokens goes through the tokens that have not ended, in the order they were made, page by page. After an error it ends.
func (c *Client) Tokens(ctx context.Context) iter.Seq2[*Token, error] {
	return func(yield func(*Token, error) bool) {
		at, err := c.address("/token/")
		if err != nil {
			yield(nil, err)
			return
		}
		pages[Token](ctx, c, at, yield)
	}
}

// DeleteToken ends a token at once. One that is not there is an *Error with Status 404.
func (c *Client) DeleteToken(ctx context.Context, id string) error {
	at, err := c.address("/token/" + url.PathEscape(id) + "/")
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodDelete, at, nil, nil)
	return err
}

// pages reads a list from its first page on.
func pages[T any](ctx context.Context, c *Client, next string, yield func(*T, error) bool) {
	var err error
	for next != "" {
		var page []*T
		var header http.Header
		if header, err = c.do(ctx, http.MethodGet, next, nil, &page); err != nil {
			break
		}
		for _, x := range page {
			if !yield(x, nil) {
				return
			}
		}
		if next, err = nextPage(next, header); err != nil {
			break
		}
	}
	if err != nil {
		yield(nil, err)
	}
}
