// Package comparison compares what would be sent for rows with what the application's API answers for the same instances. It only
// reads.
package comparison

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/application"
	"github.com/rowhook/rowhook/internal/compare"
	"github.com/rowhook/rowhook/internal/preview"
	"github.com/rowhook/rowhook/mapping"
)

// Comparer compares rows of a source.
type Comparer struct {
	*preview.Source
	// Envelopes say, by resource, where the instance is in the answer: data. That of "" is for all others.
	Envelopes map[string]string
	// Ignore are fields that may differ, with all below them.
	Ignore []string
	// Until is when no further row is begun: one is compared all the same. The zero time is never.
	Until time.Time
}

// Keys takes the keys of rows apart, as preview writes them.
func Keys(info mapping.ResourceInfo, given []string) (keys [][]string, err error) {
	for _, key := range given {
		values, err := preview.SplitKey(key, len(info.Key))
		if err != nil {
			return nil, fmt.Errorf("the key of %s is %s: %w", info.Name, strings.Join(info.Key, ", "), err)
		}
		keys = append(keys, values)
	}
	return keys, nil
}

// Compare compares the rows of the keys, which are sampled or were given. What it has found until ctx ends is in the result, with the
// error.
func (x *Comparer) Compare(ctx context.Context, info mapping.ResourceInfo, keys [][]string, sampled bool) (*Result, error) {
	out := &Result{Resource: info.Name, FromAPI: info.FromAPI, Sampled: sampled}
	for i, values := range keys {
		if i > 0 && !x.Until.IsZero() && time.Now().After(x.Until) {
			out.rest(keys[i:])
			return out, nil
		}
		key := preview.JoinKey(values)
		found, err := x.row(ctx, info, key, values)
		var refused *application.Error
		var gone *preview.NoRowError
		var unmapped *preview.MappingError
		var lost *rowError
		switch {
		case err == nil:
			out.Add(key, found)
		case ctx.Err() != nil:
			out.rest(keys[i:])
			return out, ctx.Err()
		case errors.Is(err, errNoInstance):
			out.NotInstances = append(out.NotInstances, key)
		case errors.As(err, &gone) && sampled: // deleted meanwhile
		case errors.As(err, &gone):
			out.failed(key, err)
		case errors.As(err, &refused) && refused.Missing():
			out.NotFound = append(out.NotFound, key)
		case errors.As(err, &refused) && refused.Own(), errors.As(err, &unmapped), errors.As(err, &lost):
			out.failed(key, err)
		default:
			return out, err
		}
	}
	return out, nil
}

// errNoInstance says that a row is none of its resource.
var errNoInstance = errors.New("where does not hold, or delete_when does")

// rowError says why a row has no place to be compared: others may have.
type rowError struct{ reason string }

func (e *rowError) Error() string { return e.reason }

// AtError says that an answer has nothing where the instance should be in it.
type AtError struct{ at string }

func (e *AtError) Error() string { return "the API's answer has nothing at " + e.at }

// reads is how often a row that differs is read at most, until two reads are the same.
const reads = 3

// row compares one row. What differs is read again: the row may have changed between the two reads.
func (x *Comparer) row(ctx context.Context, info mapping.ResourceInfo, key string, values []string) (found []compare.Difference, err error) {
	var lastOurs, lastTheirs []byte
	for n := range reads {
		row, err := preview.ReadRow(ctx, x.Conn, info, key, values)
		if err != nil {
			return nil, err
		}
		is, err := x.Mapper.IsInstance(info.Name, row)
		if err != nil {
			return nil, &rowError{err.Error()}
		}
		if !is {
			return nil, errNoInstance
		}
		path, err := x.Mapper.Path(info.Name, row)
		if err != nil {
			return nil, &rowError{err.Error()}
		}
		if path == "" {
			return nil, &rowError{fmt.Sprintf("%s %s has no address: a value of path is null or empty", info.Name, key)}
		}
		theirs, err := x.App.Get(ctx, path)
		if err != nil {
			return nil, err
		}
		e, err := x.Render(ctx, info.Name, cdc.Update, row, func(context.Context, string) ([]byte, error) { return theirs, nil })
		if err != nil {
			return nil, err
		}
		if n > 0 && bytes.Equal(e.Data, lastOurs) && bytes.Equal(theirs, lastTheirs) {
			return found, nil
		}
		lastOurs, lastTheirs = e.Data, theirs
		if found, err = x.diff(info.Name, e.Data, theirs); err != nil || len(found) == 0 {
			return nil, err
		}
	}
	return found, nil
}

func (x *Comparer) diff(resource string, ours, theirs []byte) ([]compare.Difference, error) {
	at, given := x.Envelopes[resource]
	if !given {
		at, given = x.Envelopes[""]
	}
	if given {
		inner, ok := compare.At(theirs, at)
		if !ok {
			return nil, &AtError{at}
		}
		theirs = inner
	}
	return compare.Diff(ours, theirs, x.Ignore)
}
