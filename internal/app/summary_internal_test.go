package app

import (
	"testing"

	"github.com/rowhook/rowhook/client"
)

// TestSummary: what is wrong is said first, whatever goes on beside it.
func TestSummary(t *testing.T) {
	t.Parallel()
	store := client.StatusFinding{Severity: client.SeverityError, Code: codeStore, What: "the store cannot be read: connect to the store at db:5432/crm: connection refused"}
	asked := client.StatusFinding{Severity: client.SeverityError, Code: codeApplication, What: "${api.name} of contact 42: GET http://app/contacts/42: 500"}
	slow := client.StatusFinding{Severity: client.SeverityWarning, Code: codeTarget, What: "hooks.example.com takes nothing from sub_1: it answers 503"}
	stream := &client.StatusStream{LagSeconds: 75}
	for _, c := range []struct {
		state string
		found []client.StatusFinding
		want  string
	}{
		{client.StateReplicating, nil, "replicating: what is committed is sent at once"},
		{client.StateReplicating, []client.StatusFinding{slow}, "replicating: what is committed is sent at once"},
		{client.StateReplicating, []client.StatusFinding{store, slow}, "the store cannot be read"},
		{client.StateReplicating, []client.StatusFinding{store, asked}, "the store cannot be read; 1 more thing is wrong"},
		{client.StateCatchingUp, nil, "catching up: what is sent now was committed 1m15s ago"},
		{client.StateCatchingUp, []client.StatusFinding{asked}, "the application does not answer; held up for 1m15s"},
		{client.StatePaused, []client.StatusFinding{store}, "the store cannot be read; paused: nothing is sent until it is resumed"},
		{client.StateHeld, []client.StatusFinding{store}, "held: nothing is sent until a person decides"},
		{client.StateStarting, nil, "starting"},
	} {
		if got := summary(&client.Status{State: c.state, Findings: c.found, Stream: stream}); got != c.want {
			t.Errorf("%s with %d findings is %q, not %q", c.state, len(c.found), got, c.want)
		}
	}
}
