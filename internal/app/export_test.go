package app

// ReadRows sets how many rows a backfill reads at once, from when it begins or goes on.
func (a *App) ReadRows(n int) { a.backfills.rows.Store(int64(n)) }

// OnBackfillRead sets what is called between a read and the mark behind it.
func (a *App) OnBackfillRead(f func()) {
	a.OnBackfillStep(func(step string) {
		if step == stepRead {
			f()
		}
	})
}

// OnBackfillStep sets what is called at each step of a chunk.
func (a *App) OnBackfillStep(f func(step string)) { a.backfills.onStep.Store(&f) }

// SaveProgressAlways writes the progress of jobs each time, for processes that are killed.
func SaveProgressAlways() { saveEvery = 0 }

// NoteChanges says how many changed rows backfills note at most.
func (a *App) NoteChanges(n int) { a.backfills.most.Store(int64(n)) }
