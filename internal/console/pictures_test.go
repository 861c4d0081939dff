package console_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestPictures takes the pictures of docs/images: make console-pictures.
func TestPictures(t *testing.T) {
	if os.Getenv("ROWHOOK_CONSOLE_PICTURES") == "" {
		t.Skip("takes a minute, and writes docs/images: make console-pictures")
	}
	in := newBrowser(t)
	r := newRig(t)
	r.recv.Handle("/billing", hooktest.Always(hooktest.Answer{Status: 503, Body: `{"error": "we are moving house, back at noon"}`}))
	r.recv.Handle("/crm", hooktest.Always(hooktest.OK().After(12*time.Millisecond)))
	made := map[string]*client.Subscription{}
	for _, s := range []struct {
		name, path string
		events     []string
	}{
		{"Warehouse", "/warehouse", []string{"*"}}, {"CRM sync", "/crm", []string{"contact.*"}}, {"Billing", "/billing", []string{"deal.update", "deal.create"}}, {"Newsletter", "/news", []string{"contact.create"}},
	} {
		made[s.name] = r.create(adminToken, &client.Subscription{Name: s.name, Events: s.events, TargetURL: r.recv.URL(s.path)})
	}
	r.create(acmeToken, &client.Subscription{Name: "Acme books", Events: []string{"*"}, TargetURL: r.recv.URL("/acme")})
	cities := []string{"Hamburg", "Bremen", "Kiel", "Kyōto", "Lisbon"}
	r.exec(`insert into deals values (1, 1, 'Spectrometers', 'lead', 48000), (2, 2, 'Autumn catalogue', 'won', 3900)`)
	for began, i := time.Now(), 1; time.Since(began) < 75*time.Second; i++ {
		for range 1 + 12*(i%90)/60 {
			r.exec(`insert into contacts values ($1, $2, 'Ada', 'Lindqvist', $3, $4, $5, null) on conflict (id) do update set city = excluded.city, score = excluded.score`, 1+i%40, 1+i%2,
				fmt.Sprintf("ada%d@lumen.example", i%40), cities[i%len(cities)], i)
		}
		tick := time.NewTimer(25 * time.Millisecond)
		<-tick.C
	}
	p := newPage(t, in, r.at)
	p.login(adminToken)
	var failed string
	for d, err := range r.client(adminToken).Deliveries(t.Context(), made["Billing"].ID, client.DeliveryFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		failed = d.ID
	}
	for _, at := range []struct {
		name, path, theme string
		width, height     int64
	}{
		{"console-overview", "/", "light", 1200, 700}, {"console-subscription", "/subscriptions/" + made["CRM sync"].ID, "light", 1200, 760}, {"console-delivery", "/deliveries/" + failed, "dark", 1200, 760},
		{"console-playground", "/resources/contact", "light", 1200, 900}, {"console-phone", "/", "dark", 390, 780},
	} {
		p.theme(at.theme)
		p.size(at.width, at.height)
		p.open(at.path)
		p.calm()
		if at.path == "/" {
			p.until(`document.querySelectorAll(".u-wrap canvas").length === 3`)
		}
		if strings.HasPrefix(at.path, "/resources/") {
			p.write(strings.Replace(value[string](p, `document.querySelector("#yaml").value`), "rank:", "level:", 1))
			p.says("data.level")
			value[bool](p, `(scrollTo(0, 0), true)`)
		}
		shot, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("..", "..", "docs", "images", at.name+".png"), small(t, shot), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// small is a picture in its 240 most frequent colours: a third of the bytes.
func small(t *testing.T, shot []byte) []byte {
	t.Helper()
	from, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	often := map[color.Color]int{}
	for y := from.Bounds().Min.Y; y < from.Bounds().Max.Y; y++ {
		for x := from.Bounds().Min.X; x < from.Bounds().Max.X; x++ {
			often[from.At(x, y)]++
		}
	}
	var palette color.Palette
	for c := range often {
		palette = append(palette, c)
	}
	slices.SortFunc(palette, func(a, b color.Color) int { return often[b] - often[a] })
	palette = palette[:min(len(palette), 240)]
	to := image.NewPaletted(from.Bounds(), palette)
	known := map[color.Color]uint8{}
	for y := from.Bounds().Min.Y; y < from.Bounds().Max.Y; y++ {
		for x := from.Bounds().Min.X; x < from.Bounds().Max.X; x++ {
			c := from.At(x, y)
			i, ok := known[c]
			if !ok {
				i = uint8(palette.Index(c))
				known[c] = i
			}
			to.SetColorIndex(x, y, i)
		}
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, to); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
