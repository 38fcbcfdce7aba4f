//go:build kill

package main

import (
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// secondNode is `serve` on the rows and letters of a victim, under another name
// and in a directory of its own.
func (v *victim) secondNode() *victim {
	v.t.Helper()
	b, err := os.ReadFile(filepath.Join(v.dir, ownConfig))
	if err != nil {
		v.t.Fatal(err)
	}
	var config map[string]any
	if err := toml.Unmarshal(b, &config); err != nil {
		v.t.Fatal(err)
	}
	dir := v.dir + "-2"
	submissions := net.JoinHostPort("127.0.0.1", strconv.Itoa(v.base+466))
	config["data"], config["node"], config["link_key_file"] = dir, "node-2", filepath.Join(v.dir, "keys", "link.key")
	config["smtp"] = map[string]string{"submissions": submissions, "submission": ""}
	config["imap"] = map[string]string{"imaps": "", "imap": ""}
	config["web"] = map[string]string{"https": "", "redirect": ""}
	text, err := toml.Marshal(config)
	if err != nil {
		v.t.Fatal(err)
	}
	path := write(v.t, dir+".toml", string(text), 0o600)
	n := &victim{t: v.t, bin: v.bin, dir: dir, demo: v.demo, door: submissions}
	n.command = func() *exec.Cmd { return exec.Command(n.bin, "serve", "--config", path) }
	v.outboxes = append(v.outboxes, filepath.Join(dir, "outbox"))
	return n
}

// TestKillNodes: two nodes on one database, 1,000 notices, 20 kills: each notice
// is one evidence and each receipt one mail.
func TestKillNodes(t *testing.T) {
	b := newBackends(t)
	if b == nil {
		return
	}
	v := newVictim(t, b)
	v.guests = 8
	if !v.start("") {
		t.Fatal("no start")
	}
	nodes := []*victim{v, v.secondNode()}
	if !nodes[1].start("") {
		t.Fatalf("the second node does not start\n%s", nodes[1].said())
	}
	for kill := range 20 {
		var senders sync.WaitGroup
		for range 5 {
			l := v.newLetter(int(v.numbers.Add(1)), false)
			senders.Go(func() {
				v.sendTo(nodes[rand.IntN(2)].demoDoor(), l)
			})
		}
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		struck := nodes[kill%2]
		struck.kill()
		senders.Wait()
		if !struck.start("") {
			t.Fatalf("kill %d: no start\n%s", kill+1, struck.said())
		}
	}
	nodes[1].refusesTwin()
	for _, l := range v.letters {
		for _, n := range nodes {
			if l.id == "" {
				v.sendTo(n.demoDoor(), l)
			}
		}
	}
	v.drain()
	nodes[1].kill()
	v.audit()
	v.kill()
	if n := v.consignments(); n != 1000 {
		t.Errorf("%d notices, want 1,000", n)
	}
}

// refusesTwin: a process under the name of one that runs does not start.
func (v *victim) refusesTwin() {
	v.t.Helper()
	cmd := v.command()
	cmd.Args[len(cmd.Args)-1] = write(v.t, v.dir+"-twin.toml", v.twin(), 0o600)
	out, err := cmd.CombinedOutput()
	if want := "another process runs under this name"; err == nil || !strings.Contains(string(out), want) {
		v.t.Errorf("a second node-2: %v\n%s", err, out)
	}
}

// twin is the configuration of a node with another directory and the same name.
func (v *victim) twin() string {
	b, err := os.ReadFile(v.dir + ".toml")
	if err != nil {
		v.t.Fatal(err)
	}
	var config map[string]any
	if err := toml.Unmarshal(b, &config); err != nil {
		v.t.Fatal(err)
	}
	config["data"], config["smtp"] = v.dir+"-twin", map[string]string{"submissions": "", "submission": ""}
	text, err := toml.Marshal(config)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(text)
}
