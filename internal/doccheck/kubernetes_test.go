package doccheck

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/config"
)

// probe is one of Kubernetes', as far as we look at it.
type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

type container struct {
	Name, Image, RestartPolicy string
	Args                       []string
	EnvFrom                    []struct {
		SecretRef struct{ Name string } `yaml:"secretRef"`
	} `yaml:"envFrom"`
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	LivenessProbe  probe `yaml:"livenessProbe"`
	ReadinessProbe probe `yaml:"readinessProbe"`
	Resources      struct{ Requests, Limits map[string]string }
	Security       struct {
		RunAsUser    int  `yaml:"runAsUser"`
		Escalation   bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRoot bool `yaml:"readOnlyRootFilesystem"`
		Capabilities struct{ Drop []string }
	} `yaml:"securityContext"`
	Restart string `yaml:"restartPolicy"`
}

type object struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		Replicas     int
		MinAvailable int `yaml:"minAvailable"`
		Strategy     struct {
			RollingUpdate struct {
				MaxSurge       int `yaml:"maxSurge"`
				MaxUnavailable int `yaml:"maxUnavailable"`
			} `yaml:"rollingUpdate"`
		}
		Ports []struct {
			Port       int
			TargetPort string `yaml:"targetPort"`
		}
		Template struct {
			Spec struct {
				Grace    int `yaml:"terminationGracePeriodSeconds"`
				Security struct {
					NonRoot   bool                  `yaml:"runAsNonRoot"`
					RunAsUser int                   `yaml:"runAsUser"`
					Seccomp   struct{ Type string } `yaml:"seccompProfile"`
				} `yaml:"securityContext"`
				InitContainers []container `yaml:"initContainers"`
				Containers     []container
			}
		}
	}
}

func loadManifest(t *testing.T, file string) map[string]object {
	t.Helper()
	all := map[string]object{}
	for d := yaml.NewDecoder(strings.NewReader(read(t, file))); ; {
		var o object
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[o.Kind] = o
	}
}

// TestKubernetes looks at what the manifests are for; that they are what Kubernetes takes is checked in deploy/kubernetes/validate.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, ready, port string
		sidecar           bool
		grace             int
	}{
		{"deploy/kubernetes/standby.yaml", "/readyz", "api", false, 60},
		{"deploy/kubernetes/sidecar.yaml", "/healthz", "rowhook-api", true, 90},
	} {
		all := loadManifest(t, c.file)
		d := all["Deployment"].Spec
		if d.Replicas != 2 || d.Strategy.RollingUpdate.MaxUnavailable != 0 || d.Strategy.RollingUpdate.MaxSurge != 1 || all["PodDisruptionBudget"].Spec.MinAvailable != 1 {
			t.Errorf("%s: a roll-out or a drained node leaves nobody", c.file)
		}
		pod := d.Template.Spec
		if pod.Grace != c.grace || !pod.Security.NonRoot || pod.Security.Seccomp.Type != "RuntimeDefault" {
			t.Errorf("%s: the pod has %+v", c.file, pod)
		}
		containers := pod.Containers
		if c.sidecar {
			containers = pod.InitContainers
			if len(containers) != 1 || containers[0].Restart != "Always" {
				t.Fatalf("%s has no native sidecar", c.file)
			}
		}
		r := containers[0]
		s := r.Security
		if user := max(s.RunAsUser, pod.Security.RunAsUser); user != 65532 || s.Escalation || !s.ReadOnlyRoot || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
			t.Errorf("%s: rowhook may do too much: %+v", c.file, s)
		}
		if !strings.Contains(read(t, "Dockerfile"), "USER 65532:65532") {
			t.Errorf("the image's user is another one")
		}
		if r.LivenessProbe.HTTPGet.Path != "/healthz" || r.ReadinessProbe.HTTPGet.Path != c.ready || r.LivenessProbe.HTTPGet.Port != c.port || r.ReadinessProbe.HTTPGet.Port != c.port {
			t.Errorf("%s: probes %+v %+v", c.file, r.LivenessProbe, r.ReadinessProbe)
		}
		if r.Resources.Limits["memory"] != "192Mi" || r.Resources.Limits["cpu"] != "" || r.Resources.Requests["memory"] == "" {
			t.Errorf("%s: resources %v", c.file, r.Resources)
		}
		if len(r.EnvFrom) != 1 || r.EnvFrom[0].SecretRef.Name != "rowhook" || !slices.Equal(r.Args[:3], []string{"run", "--config", "/etc/rowhook/config.yaml"}) {
			t.Errorf("%s: %v %v", c.file, r.EnvFrom, r.Args)
		}
		env := map[string]string{"DATABASE_URL": "postgres://rowhook:x@db:5432/crm", "ROWHOOK_TOKEN": "example-token-0123456789"}
		for name := range env {
			if !strings.Contains(read(t, c.file), "--from-literal="+name+"=") {
				t.Errorf("%s does not say that the Secret has %s", c.file, name)
			}
		}
		cfg, err := config.LoadBytes("config.yaml", []byte(all["ConfigMap"].Data["config.yaml"]), func(name string) (string, bool) { v, ok := env[name]; return v, ok }, os.ReadFile)
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		ports := map[string]int{}
		for _, p := range r.Ports {
			ports[p.Name] = p.ContainerPort
		}
		if cfg.API.Listen != ":8477" || ports[c.port] != 8477 {
			t.Errorf("%s: the API listens at %s, the port is %v", c.file, cfg.API.Listen, ports)
		}
		target := all["Service"].Spec.Ports[0].TargetPort
		if want := map[bool]int{false: 8477, true: 8080}[c.sidecar]; ports[target] != want || c.sidecar && cfg.Proxy.Listen != ":8080" {
			t.Errorf("%s: the service leads to %s, %d", c.file, target, ports[target])
		}
	}
}
