package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// asCommand has a child of the test binary be the command.
const asCommand = "CRYPTOGRAMM_TEST_AS_COMMAND"

// TestBenchIntake measures little, and finds every row there.
func TestBenchIntake(t *testing.T) {
	t.Setenv(asCommand, "1")
	dir := t.TempDir()
	a := call(t, "", "bench", "intake", "--dir", dir, "--sessions", "2,8", "--rounds", "2", "--letters", "24", "--floor", "100ms", "--json")
	r := decode[intakeResult](t, a)
	var kinds []string
	for _, row := range r.Rows {
		kinds = append(kinds, strings.Join([]string{strconv.Itoa(row.Round), strconv.Itoa(row.Sessions), row.Connect}, " "))
		if row.Letters <= 0 || row.Floor <= 0 || row.P50 <= 0 || row.P99 < row.P50 || row.Ratio <= 0 {
			t.Errorf("%+v", row)
		}
	}
	want := []string{"1 2 once", "1 8 once", "1 8 each", "2 2 once", "2 8 once", "2 8 each", "0 2 once", "0 8 once", "0 8 each"}
	if !slices.Equal(kinds, want) || r.Backend != "sqlite+dir" {
		t.Errorf("%s has the rows %q", r.Backend, kinds)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestBenchIMAP measures an installation of its own and, as the other server,
// a demo.
func TestBenchIMAP(t *testing.T) {
	t.Setenv(asCommand, "1")
	d := startDemo(t, filepath.Join(t.TempDir(), "data"))
	clara := d.party("clara")
	dir := t.TempDir()
	a := call(t, "", "bench", "imap", "--dir", t.TempDir(), "--letters", "30", "--fetch", "20", "--idle", "6", "--rounds", "1", "--json",
		"--peer", strings.Replace(d.file.IMAP.IMAPS, "127.0.0.1", "localhost", 1), "--peer-name", "other", "--user", clara.Email,
		"--password-file", write(t, filepath.Join(dir, "password"), clara.Password+"\n", 0o600),
		"--peer-pid-file", write(t, filepath.Join(dir, "pid"), strconv.Itoa(os.Getpid()), 0o600), "--peer-cold", "true")
	count := map[string]int{}
	for _, row := range decode[imapResult](t, a).Rows {
		count[row.Server]++
		if row.Value <= 0 && row.Unit != "KB" || row.What == "" {
			t.Errorf("%+v", row)
		}
	}
	if len(count) != 2 || count["cryptogramm"] != 7 || count["other"] != 7 {
		t.Errorf("rows: %v", count)
	}
	if code := d.stop(); code != exitOK {
		t.Errorf("exit %d\n%s", code, d.err)
	}
}

// TestBenchRefuses: a run that cannot be is an error, and leaves nothing.
func TestBenchRefuses(t *testing.T) {
	t.Setenv(asCommand, "1")
	dir := t.TempDir()
	file := write(t, filepath.Join(t.TempDir(), "s3"), "no URL\n", 0o600)
	call(t, "", "bench", "intake", "--dir", dir, "--s3-url-file", file).want(t, exitFail, "not http[s]://KEY:SECRET@HOST:PORT/BUCKET")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	call(t, "", "bench", "imap", "--dir", filepath.Join(dir, "absent")).want(t, exitUsage, "absent")
}

func TestMedians(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{3, 1}, 2}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.v); got != c.want {
			t.Errorf("median %v", got)
		}
	}
	times := make([]time.Duration, 101)
	for i := range times {
		times[i] = time.Duration(100-i) * time.Millisecond
	}
	if p50, p99, none := percentile(times, 0.5), percentile(times, 0.99), percentile(nil, 0.5); p50 != 50 || p99 != 99 || none != 0 {
		t.Errorf("percentiles %v, %v, %v", p50, p99, none)
	}
}

// TestWeigh: this process weighs something, and none weighs nothing.
func TestWeigh(t *testing.T) {
	if kb, err := weigh(os.Getpid()); err != nil || kb < 1000 {
		t.Errorf("%d KB, %v", kb, err)
	}
	if kb, err := weigh(1 << 30); err == nil {
		t.Errorf("a process that is not there weighs %d KB", kb)
	}
}
