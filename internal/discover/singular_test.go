package discover

import "testing"

func TestSingular(t *testing.T) {
	t.Parallel()
	for plural, want := range map[string]string{
		// the rules
		"contacts": "contact", "deals": "deal", "companies": "company", "categories": "category", "addresses": "address",
		"processes": "process", "dishes": "dish", "matches": "match", "searches": "search", "boxes": "box", "taxes": "tax",
		"indexes": "index", "buzzes": "buzz", "keys": "key", "days": "day", "bases": "base", "cases": "case", "houses": "house",
		"responses": "response", "licenses": "license", "prizes": "prize", "sizes": "size", "invoices": "invoice", "files": "file",
		"archives": "archive", "drives": "drive", "shoes": "shoe", "photos": "photo", "tables": "table", "causes": "cause",
		// what is no rule's
		"people": "person", "children": "child", "statuses": "status", "analyses": "analysis", "indices": "index", "quizzes": "quiz",
		"movies": "movie", "leaves": "leaf", "heroes": "hero", "caches": "cache", "aliases": "alias", "axes": "axis",
		// no plurals
		"contact": "contact", "status": "status", "address": "address", "analysis": "analysis", "news": "news", "series": "series",
		"data": "data", "media": "media", "gas": "gas", "bus": "bus", "class": "class", "equipment": "equipment", "staff": "staff",
		"is": "is", "s": "s", "": "",
		// the last part counts
		"order_statuses": "order_status", "sales_people": "sales_person", "line_items": "line_item", "news_articles": "news_article",
	} {
		if got := Singular(plural); got != want {
			t.Errorf("singular of %q: got %q, want %q", plural, got, want)
		}
	}
}

func TestSnake(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"contacts": "contacts", "OrderItem": "order_item", "HTTPRequest": "http_request", "apiKey": "api_key", "User": "user",
		"order-items": "order_items", "Straße": "stra_e", "v2Users": "v2_users", "ID": "id", "userID": "user_id",
	} {
		if got := Snake(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
