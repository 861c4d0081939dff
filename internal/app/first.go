package app

import (
	"context"
	"errors"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/store"
)

const (
	// firstLookTimeout bounds the first look: a start does not hang on a source that does not answer, since the API works without it.
	firstLookTimeout = 5 * time.Second
	// firstLookCounts is how long what it found is not read again.
	firstLookCounts = time.Second
)

// firstLook is what a start found of the source.
type firstLook struct {
	cat    *cdc.Catalog
	tables map[cdc.TableName]*cdc.Table
	at     time.Time
}

// fresh says whether it need not be looked again.
func (l *firstLook) fresh() bool { return l != nil && time.Since(l.at) < firstLookCounts }

// lookFirst refuses a start that only a person can make possible, before the store is made or brought to a version that the release
// before may not be able to use. It waits for nothing: a source that is away is waited for when the store is there. Nil where nothing was
// found.
func (a *App) lookFirst(ctx context.Context) (*firstLook, error) {
	src, err := cdc.New(a.sourceConfig(), nil, nil)
	if err != nil {
		return nil, err
	}
	looking, cancel := context.WithTimeout(ctx, firstLookTimeout)
	defer cancel()
	l, err := a.firstLook(looking, src)
	if err == nil {
		return l, nil
	}
	if told := (*cdc.Error)(nil); looking.Err() != nil || errors.As(err, &told) && told.Class != cdc.Refused {
		return nil, nil
	}
	return nil, err
}

func (a *App) firstLook(ctx context.Context, src *cdc.Source) (l *firstLook, err error) {
	l = &firstLook{at: time.Now()}
	if l.cat, err = src.Inspect(ctx); err != nil {
		return nil, err
	}
	if l.tables, err = withRelated(ctx, a.cfg, a.def, l.cat.Tables, l.cat.Lineage()); err != nil {
		return nil, err
	}
	problems, err := touchable(ctx, a.cfg, a.def)
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, problems.Err()
	}
	if _, problems = a.def.Compile(l.tables, l.cat.Lineage()); len(problems) == 0 {
		return l, nil
	}
	// A mapping that fitted once goes on without what was changed (see compile): the store knows. Where there is none, none did.
	if made, err := store.Made(ctx, a.storeConfig()); err == nil && !made {
		return nil, problems.Err()
	}
	return l, nil
}

// lookAgain waits for what can pass by itself.
func (a *App) lookAgain(ctx context.Context, src *cdc.Source) (l *firstLook, err error) {
	if err := a.checkTouch(ctx); err != nil {
		return nil, err
	}
	l = &firstLook{at: time.Now()}
	if l.cat, err = wait(ctx, a, "the database", func() (*cdc.Catalog, error) { return src.Inspect(ctx) }); err != nil {
		return nil, err
	}
	l.tables, err = wait(ctx, a, "the tables of relations", func() (map[cdc.TableName]*cdc.Table, error) {
		return withRelated(ctx, a.cfg, a.def, l.cat.Tables, l.cat.Lineage())
	})
	return l, err
}
