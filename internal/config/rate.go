package config

import "github.com/rowhook/rowhook/subscriptions"

const noRate = "none"

// rate is a number of requests in a time, or none for no limit.
func rate() scalar[subscriptions.Rate] {
	return scalar[subscriptions.Rate]{
		want: "a rate",
		hint: "write a number of requests and s, m or h: 10/s, 600/m, 5000/h; or none",
		tags: []string{"!!str"},
		parse: func(s string) (subscriptions.Rate, *mistake) {
			if s == noRate {
				return subscriptions.Rate{}, nil
			}
			r, err := subscriptions.ParseRate(s)
			if err != nil {
				return r, &mistake{is: "is not a rate from 1/h to 10000/s"}
			}
			return r, nil
		},
		show: func(r subscriptions.Rate) any {
			if r.IsZero() {
				return noRate
			}
			return r.String()
		},
		json: jsonObject{
			{"type", "string"},
			{"pattern", `^([0-9]+/[smh]|none)$`},
			{"examples", []any{"10/s", "600/m", "5000/h", noRate}},
		},
		strict: true,
	}
}
