package discover

import (
	"strings"
	"unicode"
)

// irregular are the plurals that no rule makes, and words that are no plural though they look like one.
var irregular = map[string]string{
	"people": "person", "children": "child", "men": "man", "women": "woman", "mice": "mouse", "geese": "goose", "feet": "foot",
	"teeth": "tooth", "oxen": "ox", "dice": "die", "criteria": "criterion", "phenomena": "phenomenon", "curricula": "curriculum",
	"indices": "index", "matrices": "matrix", "vertices": "vertex", "appendices": "appendix", "quizzes": "quiz",
	"analyses": "analysis", "diagnoses": "diagnosis", "theses": "thesis", "hypotheses": "hypothesis", "crises": "crisis",
	"leaves": "leaf", "shelves": "shelf", "knives": "knife", "wives": "wife", "lives": "life", "halves": "half", "wolves": "wolf",
	"calves": "calf", "selves": "self", "thieves": "thief", "loaves": "loaf", "scarves": "scarf",
	"movies": "movie", "cookies": "cookie", "pies": "pie", "ties": "tie", "zombies": "zombie", "rookies": "rookie", "calories": "calorie",
	"statuses": "status", "viruses": "virus", "bonuses": "bonus", "campuses": "campus", "buses": "bus", "censuses": "census",
	"focuses": "focus", "surpluses": "surplus", "menus": "menu", "aliases": "alias", "canvases": "canvas", "atlases": "atlas",
	"biases": "bias", "gases": "gas", "lenses": "lens",
	"heroes": "hero", "potatoes": "potato", "tomatoes": "tomato", "echoes": "echo", "vetoes": "veto", "cargoes": "cargo",
	"caches": "cache", "niches": "niche", "headaches": "headache", "axes": "axis",
	"news": "news", "series": "series", "species": "species", "sms": "sms", "gps": "gps", "dns": "dns", "aws": "aws", "pos": "pos",
	"data": "data", "media": "media", "metadata": "metadata", "lens": "lens", "corps": "corps", "chaos": "chaos", "gas": "gas",
	"alias": "alias", "atlas": "atlas", "bias": "bias", "canvas": "canvas", "always": "always", "https": "https", "has": "has", "was": "was", "is": "is",
}

// rules are tried in their order; the first whose ending fits is taken.
var rules = []struct{ ending, becomes string }{
	{"ies", "y"},
	{"sses", "ss"}, {"shes", "sh"}, {"ches", "ch"}, {"xes", "x"}, {"zzes", "zz"},
	{"ss", "ss"}, {"us", "us"}, {"is", "is"},
	{"s", ""},
}

// Singular is the singular of an English word in lower case: of its last part, where it has several (order_statuses).
func Singular(word string) string {
	at := strings.LastIndexByte(word, '_') + 1
	head, last := word[:at], word[at:]
	if s, ok := irregular[last]; ok {
		return head + s
	}
	for _, r := range rules {
		if stem, ok := strings.CutSuffix(last, r.ending); ok && stem != "" {
			return head + stem + r.becomes
		}
	}
	return word
}

// Snake writes a name as resources and events have it: OrderItems is order_items.
func Snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case r >= 0x80:
			b.WriteByte('_')
		case unicode.IsUpper(r):
			// A new word begins after a small letter, and at the last capital of several: HTTPRequest.
			if i > 0 && (unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1]) ||
				unicode.IsUpper(runes[i-1]) && i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
				b.WriteByte('_')
			}
			b.WriteRune(unicode.ToLower(r))
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	return b.String()
}
