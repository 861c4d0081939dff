package verify

// State says how a part of a request is.
type State string

// The states.
const (
	OK    State = "ok"
	Wrong State = "wrong"
	// Unknown: nothing speaks for or against it alone.
	Unknown State = "unknown"
)

// Finding is what is known of one part.
type Finding struct {
	// Part is "secret", the name of a header, or "body".
	Part  string `json:"part"`
	State State  `json:"state"`
	// Detail says what was found, without secrets. Next is what to do about it, empty where there is nothing.
	Detail string `json:"detail"`
	Next   string `json:"next,omitempty"`
}

// Report is what is known of a request.
type Report struct {
	// Verified says that the signature fits, and the time too.
	Verified bool      `json:"verified"`
	Findings []Finding `json:"findings"`
}

func (r *Report) add(part string, state State, detail, next string) {
	r.Findings = append(r.Findings, Finding{part, state, detail, next})
}

// First is the finding that matters most of a request that is not verified: the first that is wrong, else the first that is
// unknown.
func (r *Report) First() Finding {
	for _, state := range []State{Wrong, Unknown} {
		for _, f := range r.Findings {
			if f.State == state {
				return f
			}
		}
	}
	return Finding{}
}
