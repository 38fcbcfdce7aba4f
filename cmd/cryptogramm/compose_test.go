package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// composeFile is as much of configs/compose.yaml as has to fit the gateway.
type composeFile struct {
	Services map[string]struct {
		Image     string
		Build     map[string]string
		DependsOn map[string]any `yaml:"depends_on"`
		Configs   []map[string]string
		Secrets   []string
		Volumes   []string
		Ports     []string
	}
	Configs map[string]struct{ Content string }
	Secrets map[string]map[string]string
	Volumes map[string]any
}

// TestCompose: the compose file parses, what it names is there, and the
// configuration in it is one that the gateway takes.
func TestCompose(t *testing.T) {
	b, err := os.ReadFile("../../configs/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f composeFile
	if err := yaml.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gateway", "postgres", "minio", "bucket"} {
		if _, ok := f.Services[name]; !ok {
			t.Errorf("no service %s", name)
		}
	}
	for name, s := range f.Services {
		for other := range s.DependsOn {
			if _, ok := f.Services[other]; !ok {
				t.Errorf("%s depends on %s, which is not there", name, other)
			}
		}
		for _, secret := range s.Secrets {
			if f.Secrets[secret]["file"] == "" {
				t.Errorf("%s: no secret %s", name, secret)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, ok := f.Volumes[from]; !ok && !strings.HasPrefix(from, ".") {
				t.Errorf("%s: no volume %s", name, from)
			}
		}
	}
	gateway := f.Services["gateway"]
	if _, err := os.Stat("../../" + gateway.Build["dockerfile"]); err != nil {
		t.Error(err)
	}
	c, err := readConfig(configFile(t, f.Configs[gateway.Configs[0]["source"]].Content))
	if err != nil {
		t.Fatal(err)
	}
	if c.Store.Driver != "postgres" || c.Blobs.Driver != "s3" || c.Blobs.Endpoint != "minio:9000" {
		t.Errorf("%+v %+v", c.Store, c.Blobs)
	}
	checkPublished(t, c, gateway.Ports)
}

// checkPublished: every door is published, and exposed by the image.
func checkPublished(t *testing.T, c *Config, ports []string) {
	t.Helper()
	b, err := os.ReadFile("../../configs/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	exposed := strings.Fields(regexp.MustCompile(`(?m)^EXPOSE (.*)$`).FindStringSubmatch(string(b))[1])
	for _, door := range []string{c.SMTP.Submissions, c.SMTP.Submission, c.IMAP.IMAPS, c.IMAP.IMAP, c.Web.HTTPS, c.Web.Redirect} {
		port := strings.TrimPrefix(door, ":")
		if !slices.Contains(ports, port+":"+port) || !slices.Contains(exposed, port) {
			t.Errorf("port %s is not published in %q or not exposed in %q", port, ports, exposed)
		}
	}
	if len(ports) != 6 || len(exposed) != 6 {
		t.Errorf("%q and %q have more than the doors", ports, exposed)
	}
}
