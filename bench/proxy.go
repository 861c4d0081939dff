//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	requestRate   = metric{"rate", "requests/s"}
	request50     = metric{"request, p50", "ms"}
	request99     = metric{"request, p99", "ms"}
	cpuPerRequest = metric{"CPU of the proxy", "us/request"}
)

// The variants of the proxy's scenarios.
const (
	bareApp      = "bare application"
	throughHook  = "rowhook proxy"
	throughNginx = "nginx"
)

// proxyScenario asks a small application over so many connections, each of which waits for its answer before it asks again:
// without a proxy, through rowhook's, and through nginx where it is installed.
func proxyScenario(s sizes, connections int) scenario {
	orders := askOrders{Connections: connections, Warm: 0.5, Seconds: s.proxy}
	sc := scenario{
		Name: fmt.Sprintf("proxy-%d", connections),
		What: fmt.Sprintf("GETs of 1 KiB over %d connections of an application in Go, bare and through proxies", connections),
		variants: []variant{
			{bareApp, func(ctx context.Context, b *bench, d *database) (*outcome, error) {
				return b.throughProxy(ctx, orders, nil)
			}},
			{throughHook, func(ctx context.Context, b *bench, d *database) (*outcome, error) {
				return b.throughProxy(ctx, orders, func(app, listen string) (*rowhook, error) { return b.startProxy(d, app, listen) })
			}},
		},
		ratios: []ratio{{requestRate, throughHook, bareApp, false}, {request50, throughHook, bareApp, false}, {request99, throughHook, bareApp, false}},
	}
	program := nginx()
	if program == "" {
		sc.What += "; nginx is not installed, so rowhook is not compared with it"
		return sc
	}
	sc.variants = append(sc.variants, variant{throughNginx, func(ctx context.Context, b *bench, d *database) (*outcome, error) {
		return b.throughProxy(ctx, orders, func(app, listen string) (*rowhook, error) { return b.startNginx(program, app, listen) })
	}})
	for _, m := range []metric{requestRate, request50, request99, cpuPerRequest} {
		sc.ratios = append(sc.ratios, ratio{m, throughHook, throughNginx, false})
	}
	return sc
}

// throughProxy measures the application through what start starts; nil is nothing.
func (b *bench) throughProxy(ctx context.Context, orders askOrders, start func(app, listen string) (*rowhook, error)) (o *outcome, err error) {
	app, err := startRole("app", order{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, app.stop()) }()
	if err := app.answer(ctx, &orders.Addr); err != nil {
		return nil, err
	}
	var proxy *rowhook
	if start != nil {
		listen, err := unused()
		if err != nil {
			return nil, err
		}
		if proxy, err = start(orders.Addr, listen); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, proxy.stop()) }()
		if err := proxy.answers(ctx, listen); err != nil {
			return nil, err
		}
		orders.Addr = listen
	}
	client, err := startRole("ask", orders)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.stop()) }()
	var begun string
	if err := client.answer(ctx, &begun); err != nil {
		return nil, err
	}
	before := proxy.used()
	var got askResult
	if err := client.answer(ctx, &got); err != nil {
		return nil, err
	}
	after := proxy.used()
	o = &outcome{Values: map[string]float64{}, Expected: got.Asked, Lost: got.Asked - int64(got.Count)}
	o.set(requestRate, float64(got.Count)/got.Seconds)
	o.set(request50, got.P50/1000)
	o.set(request99, got.P99/1000)
	if proxy != nil && usageKnown && got.Count > 0 {
		o.set(cpuPerRequest, float64((after-before).Microseconds())/float64(got.Count))
		memory := memoryOf(proxy.pid(), "VmHWM")
		for _, child := range childrenOf(proxy.pid()) {
			memory += memoryOf(child, "VmHWM")
		}
		o.set(peakRSS, mib(memory))
	}
	return o, nil
}

// used is the processor time of the process and its children.
func (r *rowhook) used() time.Duration {
	if r == nil {
		return 0
	}
	sum := processorTime(r.pid(), false)
	for _, child := range childrenOf(r.pid()) {
		sum += processorTime(child, false)
	}
	return sum
}

// unused is an address that nobody listens at.
func unused() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

const proxyConfig = `
database: {url: "${env:DATABASE_URL}", slot: "${env:SLOT}", environment: bench}
app: {url: "${env:APP_URL}"}
api: {listen: 127.0.0.1:0}
proxy: {listen: "${env:PROXY_LISTEN}", identity: {path: /me, account: account}}
resources:
  item: {table: items, account: account_id, columns: all}
`

func (b *bench) startProxy(d *database, app, listen string) (*rowhook, error) {
	file := filepath.Join(filepath.Dir(b.config), "proxy.yaml")
	if err := os.WriteFile(file, []byte(proxyConfig), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(b.program, "proxy", "--config", file)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+d.url, "SLOT="+d.name, "APP_URL=http://"+app, "PROXY_LISTEN="+listen)
	r := &rowhook{}
	if b.profile != "" {
		r.profile = filepath.Join(b.profile, b.turn+".pprof")
		cmd.Env = append(cmd.Env, "ROWHOOK_CPU_PROFILE="+r.profile)
	}
	return r, r.begin("rowhook proxy", cmd)
}

// nginx is the program; "" if it is not installed.
func nginx() string {
	if path, err := exec.LookPath("nginx"); err == nil {
		return path
	}
	if _, err := os.Stat("/usr/sbin/nginx"); err == nil {
		return "/usr/sbin/nginx"
	}
	return ""
}

// nginxConfig is nginx with what it takes to be fast: connections that are kept, no log.
const nginxConfig = `
daemon off;
worker_processes auto;
pid DIR/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
    keepalive_requests 100000000;
    upstream app { server APP; keepalive 512; keepalive_requests 100000000; }
    server {
        listen LISTEN;
        location / {
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
        }
    }
}
`

func (b *bench) startNginx(program, app, listen string) (*rowhook, error) {
	dir := filepath.Join(filepath.Dir(b.config), "nginx")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "nginx.conf")
	text := strings.NewReplacer("DIR", dir, "APP", app, "LISTEN", listen).Replace(nginxConfig)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, err
	}
	r := &rowhook{}
	return r, r.begin("nginx", exec.Command(program, "-p", dir, "-c", file))
}

// begin starts a proxy and keeps the end of what it logs.
func (r *rowhook) begin(name string, cmd *exec.Cmd) (err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stderr = write
	r.process, err = launch(name, cmd)
	_ = write.Close()
	if err != nil {
		_ = read.Close()
		return err
	}
	go r.listen(read, nil)
	return nil
}

// answers waits until the application answers through the proxy.
func (r *rowhook) answers(ctx context.Context, listen string) error {
	deadline := time.Now().Add(startTimeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		resp, err := http.Get("http://" + listen + "/")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-r.done:
			return fmt.Errorf("%s ended\n%s", r.name, r.lastLines())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not answer: %w\n%s", r.name, err, r.lastLines())
		}
	}
}

// appRole is a small application: 1 KiB of JSON for every request.
func appRole(_ context.Context, in *json.Decoder, out io.Writer) error {
	var o order
	if err := in.Decode(&o); err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	body := []byte(`{"id":1,"name":"Ada Lovelace","note":"` + strings.Repeat("n", 984) + `"}`)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})}
	if err := json.NewEncoder(out).Encode(l.Addr().String()); err != nil {
		return err
	}
	go func() { <-untilEnd(in); _ = s.Close() }()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// askOrders are those of the client of an application.
type askOrders struct {
	Addr        string
	Connections int
	Warm        float64 // seconds before those that are measured
	Seconds     float64
}

// askResult is what a client saw; times are in microseconds.
type askResult struct {
	quantiles
	Asked   int64
	Seconds float64
}

// askRole asks an application over connections that are kept. It says "begun" when it begins to measure.
func askRole(_ context.Context, in *json.Decoder, out io.Writer) error {
	var o askOrders
	if err := in.Decode(&o); err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	begin := time.Now().Add(time.Duration(o.Warm * float64(time.Second)))
	end := begin.Add(time.Duration(o.Seconds * float64(time.Second)))
	took, asked := make([][]int32, o.Connections), make([]int64, o.Connections)
	failures := make(chan error, o.Connections)
	var wg sync.WaitGroup
	for i := range o.Connections {
		wg.Go(func() {
			if err := askOver(o.Addr, begin, end, &took[i], &asked[i]); err != nil {
				failures <- err
			}
		})
	}
	timer := time.NewTimer(time.Until(begin))
	<-timer.C
	if err := json.NewEncoder(out).Encode("begun"); err != nil {
		return err
	}
	wg.Wait()
	select {
	case err := <-failures:
		return err
	default:
	}
	var all []int32
	r := askResult{Seconds: end.Sub(begin).Seconds()}
	for i := range took {
		all = append(all, took[i]...)
		r.Asked += asked[i]
	}
	r.quantiles = quantilesOf(all)
	if err := json.NewEncoder(out).Encode(r); err != nil {
		return err
	}
	<-untilEnd(in)
	return nil
}

// askOver asks over one connection, and notes how long each request took that was sent and answered in the time.
func askOver(addr string, begin, end time.Time, took *[]int32, asked *int64) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(end.Add(stopTimeout)); err != nil {
		return err
	}
	request := []byte("GET /api/v1/contacts/1?include=company HTTP/1.1\r\nHost: app.example\r\nUser-Agent: bench/1\r\nAccept: application/json\r\n" +
		"Accept-Encoding: gzip\r\nAuthorization: Bearer 0123456789abcdef\r\nCookie: session=0123456789abcdef\r\n\r\n")
	in := bufio.NewReaderSize(c, 8<<10)
	for {
		sent := time.Now()
		if sent.After(end) {
			return nil
		}
		if _, err := c.Write(request); err != nil {
			return fmt.Errorf("ask: %w", err)
		}
		if err := readAnswer(in); err != nil {
			return err
		}
		if now := time.Now(); sent.After(begin) && now.Before(end) {
			*asked++
			*took = append(*took, int32(now.Sub(sent).Microseconds()))
		}
	}
}

// readAnswer reads an answer with a Content-Length, and nothing else.
func readAnswer(in *bufio.Reader) error {
	length, first := -1, true
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
				return fmt.Errorf("the answer is %q", line)
			}
			first = false
		case len(line) == 0:
			if length < 0 {
				return errors.New("the answer has no Content-Length")
			}
			_, err := in.Discard(length)
			return err
		default:
			if name, value, _ := bytes.Cut(line, []byte(": ")); strings.EqualFold(string(name), "Content-Length") {
				if length, err = strconv.Atoi(string(value)); err != nil {
					return err
				}
			}
		}
	}
}
