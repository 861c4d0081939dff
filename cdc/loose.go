package cdc

// tellLoose tells, once, of messages of ours that belong to no transaction: whoever writes them thinks that they do
// something. The first argument of pg_logical_emit_message is easily forgotten to be of importance.
func (s *Source) tellLoose(prefix string, at LSN) {
	s.looseTold.Do(func() {
		s.cfg.Log.Warn("a message that is not transactional is ignored, as all of its kind are; this is told once", "prefix", prefix,
			"lsn", at.String(), "hint", "write it within the transaction: SELECT pg_logical_emit_message(true, '"+prefix+"', …)")
	})
}
