package e2e

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// thunderbird is a running Thunderbird without a screen, driven by Marionette:
// "length:[0, id, command, parameters]" one way, "length:[1, id, error, result]"
// the other.
type thunderbird struct {
	t      *testing.T
	conn   net.Conn
	r      *bufio.Reader
	script string
	calls  int
}

// prefs keep Thunderbird from asking, and from talking to anybody but us.
const prefs = `user_pref("marionette.port", 0);
user_pref("app.update.enabled", false);
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("mail.shell.checkDefaultClient", false);
user_pref("mailnews.start_page.enabled", false);
user_pref("mailnews.start_page_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "data:,");
user_pref("extensions.update.enabled", false);
user_pref("extensions.getAddons.cache.enabled", false);
`

func startThunderbird(t *testing.T) *thunderbird {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("testdata", "thunderbird.js"))
	if err != nil {
		t.Fatal(err)
	}
	profile := t.TempDir()
	configure(t, filepath.Join(profile, "user.js"), prefs)
	var log strings.Builder
	cmd := exec.Command("thunderbird", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", profile)
	cmd.Env = append(os.Environ(), "HOME="+profile)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		for l := range strings.SplitSeq(log.String(), "\n") {
			if t.Failed() && l != "" && !strings.Contains(l, "gtk_icon_theme") { // there is no screen to take icons from
				t.Log(l)
			}
		}
	})
	var port []byte
	err = wait(patience, func() bool {
		port, err = os.ReadFile(filepath.Join(profile, "MarionetteActivePort"))
		return err == nil && len(port) > 0
	})
	if err != nil {
		t.Fatalf("thunderbird was not ready: %v", err)
	}
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strings.TrimSpace(string(port))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	b := &thunderbird{t: t, conn: conn, r: bufio.NewReader(conn), script: string(script)}
	b.read()
	b.command("WebDriver:NewSession", map[string]any{"capabilities": map[string]any{}})
	b.command("Marionette:SetContext", map[string]any{"value": "chrome"})
	b.command("WebDriver:SetTimeouts", map[string]any{"script": patience.Milliseconds()})
	return b
}

func (b *thunderbird) read() []byte {
	b.t.Helper()
	b.conn.SetReadDeadline(time.Now().Add(2 * patience))
	head, err := b.r.ReadString(':')
	if err != nil {
		b.t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSuffix(head, ":"))
	if err != nil {
		b.t.Fatal(err)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(b.r, body); err != nil {
		b.t.Fatal(err)
	}
	return body
}

func (b *thunderbird) command(name string, parameters map[string]any) json.RawMessage {
	b.t.Helper()
	b.calls++
	packet, err := json.Marshal([]any{0, b.calls, name, parameters})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(b.conn, "%d:%s", len(packet), packet); err != nil {
		b.t.Fatal(err)
	}
	var reply []json.RawMessage
	if err := json.Unmarshal(b.read(), &reply); err != nil || len(reply) != 4 {
		b.t.Fatalf("%s: %v, %s", name, err, reply)
	}
	if string(reply[2]) != "null" {
		b.t.Fatalf("%s: %.2000s", name, reply[2])
	}
	return reply[3]
}

// run calls one function of testdata/thunderbird.js and reads its answer into
// result, which may be nil.
func (b *thunderbird) run(function string, argument, result any) {
	b.t.Helper()
	body := b.script + "\nconst [argument, done] = arguments;\ntests." + function +
		"(argument).then(v => done({value: v === undefined ? null : v}), e => done({failed: e + '\\n' + e.stack}));"
	raw := b.command("WebDriver:ExecuteAsyncScript", map[string]any{"script": body, "args": []any{argument}, "sandbox": "system", "newSandbox": true})
	var reply struct {
		Value struct {
			Value  json.RawMessage
			Failed string
		}
	}
	if err := json.Unmarshal(raw, &reply); err != nil {
		b.t.Fatal(err)
	}
	if reply.Value.Failed != "" {
		b.t.Fatalf("thunderbird: %s: %s", function, reply.Value.Failed)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(reply.Value.Value, result); err != nil {
		b.t.Fatalf("%s: %v in %s", function, err, reply.Value.Value)
	}
}

// see takes a picture of the window.
func (b *thunderbird) see(name string) {
	b.t.Helper()
	var picture struct{ Value string }
	if err := json.Unmarshal(b.command("WebDriver:TakeScreenshot", map[string]any{"full": false}), &picture); err != nil {
		b.t.Fatal(err)
	}
	png, err := base64.StdEncoding.DecodeString(picture.Value)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll(shots, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(shots, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
