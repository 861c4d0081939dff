package mapping

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// keyStyle is the case of member names that come from names of the database.
type keyStyle uint8

const (
	keysAsColumns keyStyle = iota
	keysCamel
	keysPascal
	keysSnake
	keysKebab
)

// key is a column's or an attribute's name in the API's case.
func (k keyStyle) key(name string) string {
	if k == keysAsColumns {
		return name
	}
	words := splitWords(name)
	if len(words) == 0 {
		return name
	}
	for i, w := range words {
		w = strings.ToLower(w)
		if k == keysPascal || k == keysCamel && i > 0 {
			first, size := utf8.DecodeRuneInString(w)
			w = string(unicode.ToTitle(first)) + w[size:]
		}
		words[i] = w
	}
	switch k {
	case keysSnake:
		return strings.Join(words, "_")
	case keysKebab:
		return strings.Join(words, "-")
	}
	return strings.Join(words, "")
}

// splitWords cuts first_name, firstName, FirstName, "first name" and HTTPStatus into words. Digits belong to the word before them.
func splitWords(name string) []string {
	var words []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			words = append(words, string(word))
			word = nil
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush()
			continue
		case unicode.IsUpper(r) && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			flush()
		}
		word = append(word, r)
	}
	flush()
	return words
}
