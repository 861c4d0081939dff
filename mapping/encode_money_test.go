package mapping

import "testing"

// TestMoneyKeepsItsValue: how an amount is written depends on the server's lc_monetary. What cannot be told stays as it is.
func TestMoneyKeepsItsValue(t *testing.T) {
	t.Parallel()
	f := presets["rails"]
	for text, want := range map[string]string{
		"$1,234,567.89":  `"1234567.89"`,
		"-$1,234,567.89": `"-1234567.89"`,
		"€1.234,50":      `"1234.50"`,
		"$0.00":          `"0.00"`,
		"($1,234.50)":    `"-1234.50"`,     // en_HK
		"1.234,50 €":     `"1.234,50 €"`,   // de_DE
		"-1.234,50 €":    `"-1.234,50 €"`,  // de_DE
		"€ 1.234,50-":    `"€ 1.234,50-"`,  // nl_NL
		"KWD1,234.500":   `"KWD1,234.500"`, // en_KW: three digits
		"￥1,235":         `"￥1,235"`,       // ja_JP: none
		"":               `""`,
	} {
		if got := string(f.encodeMoney(nil, []byte(text))); got != want {
			t.Errorf("%s is written as %s, want %s", text, got, want)
		}
	}
}
