package doccheck

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// ignored says whether .dockerignore keeps a path out of the build context, for the kinds of patterns that ours has.
func ignored(t testing.TB) func(file string) bool {
	t.Helper()
	var patterns []string
	for l := range strings.Lines(read(t, ".dockerignore")) {
		if l = strings.TrimSpace(l); l != "" && l[0] != '#' {
			patterns = append(patterns, l)
		}
	}
	return func(file string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			name, subject := p, file
			if deep, ok := strings.CutPrefix(p, "**/"); ok {
				name, subject = deep, path.Base(file)
			}
			hit, err := path.Match(name, subject)
			if err != nil || strings.Contains(name, "**") {
				t.Fatalf(".dockerignore: %s is a pattern that this test does not understand", p)
			}
			return hit
		})
	}
}

// binaries are what the Dockerfile builds.
type binaries struct{ rowhook, receiver string }

var built struct {
	once sync.Once
	binaries
	dir string
	err error
}

// build does the Dockerfile's go build lines, as they are written, in a directory with what the build context has.
func build(t *testing.T) binaries {
	t.Helper()
	built.once.Do(func() {
		skip := ignored(t)
		dir := copyTree(t, func(file string) bool { return !skip(file) })
		if built.dir, built.err = os.MkdirTemp("", "rowhook-doccheck-"); built.err != nil {
			return
		}
		cleanups = append(cleanups, func() { os.RemoveAll(built.dir) })
		lines := regexp.MustCompile(`(?m)^RUN (.*go build .*)$`).FindAllStringSubmatch(read(t, "Dockerfile"), -1)
		if len(lines) != 2 {
			built.err = errors.New("the Dockerfile has not the two go build lines that this test knows")
			return
		}
		for _, l := range lines {
			cmd := exec.Command("sh", "-c", strings.ReplaceAll(l[1], "/out/", built.dir+"/"))
			cmd.Dir, cmd.Env = dir, append(environ(), "GOFLAGS=", "VERSION=1.2.3")
			if out, err := cmd.CombinedOutput(); err != nil {
				built.err = errors.New(l[1] + ": " + err.Error() + "\n" + string(out))
				return
			}
		}
		built.binaries = binaries{rowhook: filepath.Join(built.dir, "rowhook"), receiver: filepath.Join(built.dir, "receiver")}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.binaries
}

// TestDockerfile builds what the Dockerfile builds, and looks at how it is put together.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	b := build(t)
	out, err := exec.Command(b.rowhook, "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "1.2.3") {
		t.Errorf("--version: %v %s", err, out)
	}
	if runtime.GOOS == "linux" {
		for _, name := range []string{b.rowhook, b.receiver} {
			f, err := elf.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range f.Progs {
				if p.Type == elf.PT_INTERP {
					t.Errorf("%s is not static", name)
				}
			}
			f.Close()
		}
	}
	if info, err := os.Stat(b.rowhook); err == nil && info.Size() > 60<<20 {
		t.Errorf("rowhook has %d MiB", info.Size()>>20)
	}
	text := read(t, "Dockerfile")
	stages := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^FROM (\S+) AS (\S+)$`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[1], ":") && !stages[m[1]] {
			t.Errorf("FROM %s: no stage and no tag", m[1])
		}
		stages[m[2]] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^COPY --from=(\S+) `).FindAllStringSubmatch(text, -1) {
		if !stages[m[1]] {
			t.Errorf("COPY --from=%s: there is no such stage before it", m[1])
		}
	}
	last := text[strings.LastIndex(text, "\nFROM "):]
	for _, want := range []string{"nonroot AS rowhook", "USER 65532:65532", `ENTRYPOINT ["/rowhook"]`, "COPY --from=build /out/rowhook /rowhook"} {
		if !strings.Contains(last, want) {
			t.Errorf("the last stage lacks %s", want)
		}
	}
	// The image's Go has to be able to build the module.
	want := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))[1]
	if !strings.Contains(text, "FROM golang:"+want+" AS build") {
		t.Errorf("go.mod needs Go %s, the Dockerfile has another", want)
	}
}

// compose is the compose file, as far as we look at it. Unknown keys are refused, so that a slip is seen.
type compose struct {
	Name     string
	Services map[string]struct {
		Image       string
		Build       struct{ Context, Target string }
		Command     []string
		Entrypoint  []string
		Environment map[string]string
		Volumes     []string
		Ports       []string
		DependsOn   yaml.Node `yaml:"depends_on"`
		Healthcheck struct {
			Test              []string
			Interval, Timeout string
			Retries           int
		}
		Init            bool
		ReadOnly        bool     `yaml:"read_only"`
		CapDrop         []string `yaml:"cap_drop"`
		SecurityOpt     []string `yaml:"security_opt"`
		StopGracePeriod string   `yaml:"stop_grace_period"`
		Restart         string
	}
}

func loadCompose(t *testing.T, file string) compose {
	t.Helper()
	var c compose
	d := yaml.NewDecoder(strings.NewReader(read(t, file)))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestComposeFile(t *testing.T) {
	t.Parallel()
	c := loadCompose(t, "docker-compose.yml")
	checkCompose(t, ".", c)
	if c.Services["subscribe"].Environment["WEBHOOK_SECRET"] != c.Services["receiver"].Environment["WEBHOOK_SECRET"] ||
		c.Services["subscribe"].Environment["ROWHOOK_TOKEN"] != c.Services["rowhook"].Environment["ROWHOOK_TOKEN"] {
		t.Error("the services do not share their secret and their token")
	}
}

// checkCompose looks at a compose file in a directory.
func checkCompose(t *testing.T, dir string, c compose) {
	t.Helper()
	dockerfile := read(t, "Dockerfile")
	for name, s := range c.Services {
		mounted := map[string]bool{}
		for _, v := range s.Volumes {
			from, rest, _ := strings.Cut(v, ":")
			to, _, _ := strings.Cut(rest, ":")
			mounted[to] = true
			if _, err := os.Stat(filepath.Join(root, dir, from)); err != nil {
				t.Errorf("%s mounts %s, which is not there", name, from)
			}
		}
		for _, arg := range slices.Concat(s.Command, s.Entrypoint) {
			if strings.HasPrefix(arg, "/rowhook/") && !mounted[arg] {
				t.Errorf("%s calls %s, which is not mounted", name, arg)
			}
		}
		if (s.Image == "") == (s.Build.Context == "") {
			t.Errorf("%s needs an image or a build", name)
		}
		if s.Build.Context != "" {
			if _, err := os.Stat(filepath.Join(root, dir, s.Build.Context, "Dockerfile")); err != nil {
				t.Errorf("%s is built without a Dockerfile: %v", name, err)
			}
		}
		if s.Build.Target != "" && !strings.Contains(dockerfile, " AS "+s.Build.Target+"\n") {
			t.Errorf("%s: the Dockerfile has no stage %s", name, s.Build.Target)
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s on every interface", name, p)
			}
		}
		for _, other := range s.DependsOn.Content {
			if _, ok := c.Services[other.Value]; !ok && other.Kind == yaml.ScalarNode {
				t.Errorf("%s depends on %s, which is no service", name, other.Value)
			}
		}
	}
	if !slices.Contains(c.Services["postgres"].Command, "wal_level=logical") || c.Services["postgres"].Image != "postgres:16" {
		t.Error("the server is not Postgres 16 with wal_level=logical")
	}
}

// TestExampleCompose looks at the compose file of the example application, and keeps its config what that of the example is, at
// the addresses that the services have: go test ./internal/doccheck -run TestExampleCompose -update.
func TestExampleCompose(t *testing.T) {
	t.Parallel()
	const dir = "examples/django"
	c := loadCompose(t, dir+"/docker-compose.yml")
	checkCompose(t, dir, c)
	head, rest, _ := strings.Cut(read(t, dir+"/config.yaml"), "\ndatabase:")
	want := "# config.yaml, at the addresses that the services of docker-compose.yml have.\ndatabase:" + strings.NewReplacer("http://127.0.0.1:3000", "http://app:3000",
		"listen: 127.0.0.1:8477", "listen: :8477", "listen: 127.0.0.1:8000", "listen: :8000", "only for a receiver on this machine", "only for a receiver in a private network",
		"[127.0.0.0/8]", "[10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]").Replace(rest)
	const file = dir + "/compose.config.yaml"
	if *update {
		write(t, filepath.Join(root, file), want)
	}
	if got := read(t, file); !strings.HasPrefix(head, "#") || got != want {
		t.Errorf("%s is not what config.yaml says: go test ./internal/doccheck -run TestExampleCompose -update", file)
	}
	env := c.Services["rowhook"].Environment
	if _, err := config.LoadBytes(file, []byte(want), func(name string) (string, bool) { v, ok := env[name]; return v, ok }, os.ReadFile); err != nil {
		t.Errorf("the config does not load with the environment of the service: %v", err)
	}
	if secret := c.Services["receiver"].Environment["WEBHOOK_SECRET"]; secret == "" || strings.Count(read(t, examplePage), secret) != 2 {
		t.Errorf("the receiver's secret is not that of %s", examplePage)
	}
	for _, want := range []string{"COPY app.py /app.py\n", `"/usr/bin/python3", "/app.py", "--listen", "0.0.0.0:3000"`, "USER 65532:65532"} {
		if !strings.Contains(read(t, dir+"/Dockerfile"), want) {
			t.Errorf("the Dockerfile of the application lacks %s", want)
		}
	}
}

// TestCompose does without Docker what the compose file does: the same files, programs and environments, on one host.
func TestCompose(t *testing.T) {
	t.Parallel()
	needs(t, "bash", "psql", "curl")
	c := loadCompose(t, "docker-compose.yml")
	server := pgtest.Cluster(t, nil)
	if err := sql(t, server.URL("postgres"), "create database crm"); err != nil {
		t.Fatal(err)
	}
	// What the postgres image does with docker-entrypoint-initdb.d.
	if err := sql(t, server.URL("crm"), read(t, "examples/crm/schema.sql")); err != nil {
		t.Fatal(err)
	}
	login := []string{"PGHOST=127.0.0.1", "PGPORT=" + itoa(server.Port()), "PGUSER=postgres", "PGPASSWORD=" + password(server.URL("crm")), "PGDATABASE=crm"}
	env := func(service string, more ...string) []string {
		e := environ()
		for k, v := range c.Services[service].Environment {
			if !strings.HasPrefix(k, "PG") {
				e = append(e, k+"="+v)
			}
		}
		return append(e, more...)
	}
	init := exec.Command("bash", "examples/compose/02-role.sh")
	init.Dir, init.Env = root, env("postgres", append(login, "ROLE_SQL=deploy/sql/role.sql")...)
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("02-role.sh: %v\n%s", err, out)
	}

	api, hooks := hooktest.FreeAddress(t), hooktest.FreeAddress(t)
	cfg := strings.NewReplacer("listen: :8477", "listen: "+api, "10.0.0.0/8", "127.0.0.0/8").Replace(read(t, "examples/compose/config.yaml"))
	file := filepath.Join(t.TempDir(), "config.yaml")
	write(t, file, cfg)
	url := strings.Replace(c.Services["rowhook"].Environment["DATABASE_URL"], "@postgres:5432/", "@127.0.0.1:"+itoa(server.Port())+"/", 1)
	run := exec.Command(build(t).rowhook, "run", "--config", file)
	run.Env = env("rowhook", "DATABASE_URL="+url)
	rowhook := start(t, "rowhook", run)
	recv := exec.Command(build(t).receiver)
	recv.Env = env("receiver", "HOST=127.0.0.1", "PORT="+portOf(hooks))
	receiver := start(t, "receiver", recv)
	receiver.prints("waiting for hooks")

	for _, want := range []string{`"secret":"whsec_`, "subscribed already"} {
		sub := exec.Command("sh", "examples/compose/subscribe.sh")
		sub.Dir, sub.Env = root, env("subscribe", "ROWHOOK_URL=http://"+api, "TARGET_URL=http://"+hooks+"/hooks")
		if out, err := sub.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("subscribe.sh: %v\n%s\n%s", err, out, rowhook.output())
		}
	}
	for n, statement := range trafficStatements(t) {
		if err := sql(t, server.URL("crm"), statement); err != nil {
			t.Errorf("traffic.sql, statement %d: %v", n, err)
		}
	}
	traffic := exec.Command("bash", "examples/compose/traffic.sh", "examples/compose/traffic.sql")
	traffic.Dir, traffic.Env = root, append(environ(), append(login, "PAUSE=0.01")...)
	loop := start(t, "traffic.sh", traffic)
	for _, event := range []string{"contact.create", "contact.update", "contact.delete", "deal.create", "deal.update", "deal.delete"} {
		await(t, "two hooks of "+event, func() bool {
			return strings.Count(receiver.output(), event+"  evt_") >= 2 || ended(rowhook) || ended(receiver)
		})
	}
	if out := receiver.output() + loop.output(); strings.Contains(out, "refused") || strings.Contains(out, "ERROR") || strings.Contains(out, `"amount":"0.00"`) {
		t.Errorf("the receiver or the traffic complains:\n%s", out)
	}
	receiver.stop()
	rowhook.stop()
}

func password(url string) string {
	return regexp.MustCompile(`//[^:]*:([^@]*)@`).FindStringSubmatch(url)[1]
}

func trafficStatements(t *testing.T) []string {
	t.Helper()
	var all []string
	lines := bufio.NewScanner(strings.NewReader(read(t, "examples/compose/traffic.sql")))
	for lines.Scan() {
		if l := lines.Text(); l != "" && !strings.HasPrefix(l, "--") {
			all = append(all, l)
		}
	}
	return all
}

// sql runs statements on a connection of their own.
func sql(t *testing.T, url, statements string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), statements)
	return err
}

// TestUnit has systemd look at the unit, with a program that is there in the place of the installed one.
func TestUnit(t *testing.T) {
	t.Parallel()
	text := read(t, "deploy/rowhook.service")
	for _, want := range []string{"ExecStart=/usr/local/bin/rowhook run --config /etc/rowhook/config.yaml", "DynamicUser=yes", "NoNewPrivileges=yes"} {
		if !strings.Contains(text, want) {
			t.Errorf("the unit lacks %s", want)
		}
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Log("NOT CHECKED: systemd-analyze is missing, so nobody has looked at the unit's syntax")
		return
	}
	file := filepath.Join(t.TempDir(), "rowhook.service")
	write(t, file, strings.Replace(text, "ExecStart=/usr/local/bin/rowhook", "ExecStart=/bin/true", 1))
	cmd := exec.Command("systemd-analyze", "verify", "--man=no", file)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, t.Output()), &out
	if err := cmd.Run(); err != nil || strings.Contains(out.String(), "rowhook.service") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, &out)
	}
}

// TestNothingPrivate keeps out of the files what only the machine or the people that made them know.
func TestNothingPrivate(t *testing.T) {
	t.Parallel()
	private := regexp.MustCompile(`/home/|/root/|/tmp/|issue #?\d|TODO|FIXME`)
	files := append(pages(t), "Dockerfile", "docker-compose.yml", ".dockerignore")
	for _, dir := range []string{"deploy", "examples"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(p string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				rel, _ := filepath.Rel(root, p)
				files = append(files, rel)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		for n, l := range strings.Split(read(t, f), "\n") {
			if m := private.FindString(l); m != "" {
				t.Errorf("%s:%d: %q", f, n+1, m)
			}
		}
	}
}
