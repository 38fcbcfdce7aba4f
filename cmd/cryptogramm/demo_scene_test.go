package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/gateway"
	"cryptogramm.ru/cryptogramm/gateway/account"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// TestScene: the demo's authority is made once; a first start that was cut off
// begins again; its CRLs outlive their renewal.
func TestScene(t *testing.T) {
	config, err := (&DemoCmd{PortBase: 1000}).config(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first, err := openScene(config.path("ca"))
	if err != nil {
		t.Fatal(err)
	}
	first.configure(config)
	i, err := openInstallation(t.Context(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.close() })
	if err := first.set(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(first.path("state.json")); err != nil {
		t.Fatal(err)
	}
	scene, err := openScene(config.path("ca"))
	if err == nil {
		err = scene.set(t.Context(), i)
	}
	if err != nil {
		t.Fatalf("after a start that was cut off: %v", err)
	}
	for n, p := range scene.state.Parties[:2] {
		if err := login(t, i.db, p.Email, p.Password); err != nil {
			t.Errorf("%s: %v", p.Email, err)
		}
		if err := login(t, i.db, p.Email, first.state.Parties[n].Password); !errors.Is(err, account.ErrDenied) {
			t.Errorf("%s with the lost password: %v", p.Email, err)
		}
	}
	t.Run("verdicts", func(t *testing.T) { sceneVerdicts(t, i, scene) })
	t.Run("renewal", func(t *testing.T) { sceneRenewal(t, i, scene) })
}

// sceneVerdicts: each party's certificate is as good as its name says.
func sceneVerdicts(t *testing.T, i *installation, scene *demoScene) {
	for local, want := range map[string]int{"anna": 0, "boris": 0, "clara": 0, "expired": 1, "revoked": 1} {
		call(t, "", "verify", "--trust", scene.bundle, "--crl", scene.path("crl.pem"), scene.path(local+".pem")).want(t, want, "X.509")
	}
	trust, err := (&gateway.Trust{DB: i.db}).Store(t.Context())
	if err != nil || trust == nil {
		t.Fatal(err)
	}
	anchors, err := i.db.Anchors(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range anchors {
		if a.Kind != string(pki.Unqualified) {
			t.Errorf("the demo's root is %s", a.Kind)
		}
	}
}

func sceneRenewal(t *testing.T, i *installation, scene *demoScene) {
	if crlLife < 2*crlRenew {
		t.Error("a late renewal leaves a gap")
	}
	end := func() (end time.Time) {
		b, err := os.ReadFile(scene.path("crl.pem"))
		if err != nil {
			t.Fatal(err)
		}
		lists, err := pki.ParseCRLs(b)
		if err != nil || len(lists) != 2 {
			t.Fatalf("%d lists, %v", len(lists), err)
		}
		return lists[1].NextUpdate
	}
	before := end()
	scene.now = func() time.Time { return time.Now().Add(crlRenew) }
	out, err := scene.renewCRLs(t.Context(), nil)
	if err != nil || len(out.Jobs) != 1 || out.Jobs[0].Kind != jobCRL || !out.Jobs[0].Due.After(time.Now().Add(crlRenew)) {
		t.Errorf("%+v, %v", out, err)
	}
	if after := end(); after.Sub(before) < crlRenew-time.Minute {
		t.Errorf("the list ends at %v, before that at %v", after, before)
	}
	rows, err := i.db.CRLs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	renewed := 0
	for _, l := range rows {
		if l.NextUpdate.After(before) {
			renewed++
		}
	}
	if renewed != 2 {
		t.Errorf("%d of the database's lists are renewed", renewed)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := scene.renewCRLs(ended, nil); err == nil {
		t.Error("renewal that could not be stored is no error")
	}
}
