package app

// ReadRows sets how many rows a backfill reads at once, from when it begins or goes on.
func (a *App) ReadRows(n int) { a.backfills.rows.Store(int64(n)) }

// OnBackfillRead sets what is called between a read and the mark behind it.
func (a *App) OnBackfillRead(f func()) { a.backfills.onRead.Store(&f) }
