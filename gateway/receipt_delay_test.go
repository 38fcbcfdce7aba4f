package gateway

import (
	"os"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// The delay of a notice is told once, four hours on; the end of it is evidence.
func TestDelayWarning(t *testing.T) {
	w := newWorld(t)
	w.speaks(w.anna.user, "ru")
	w.must(os.WriteFile(w.outbox, nil, 0o600))
	id := w.send(signed(t, w.anna.Party), bob, dora)
	c := w.to(id, bob)
	run := w.runner()
	run.due(jobNotice, 2)
	run.due(jobReceipt, 1)
	w.clock.pass(delayWarning - time.Minute)
	run.due(jobNotice, 2)
	run.due(jobDelay, 0)
	w.take(w.to(id, dora)) // who had the link from elsewhere
	w.clock.pass(time.Minute)
	run.due(jobDelay, 2)
	late := func() (list []store.Message) {
		for _, m := range w.folder(w.anna.user, store.RoleReceipts) {
			if strings.HasSuffix(m.ID, ".delayed") {
				list = append(list, m)
			}
		}
		return list
	}
	list := late()
	if len(list) != 1 || list[0].MessageID != "<"+c.ID+".delayed@gate.test>" || list[0].Submission != id {
		t.Fatalf("%d warnings: %+v", len(list), list)
	}
	l := w.signedByGateway(list[0].Head)
	text := string(w.part(l, l.Root.Parts[0]))
	for _, want := range []string{"Уведомление пока не доставлено", bob, "Попытки продолжаются до: 6 июня 2026", "not a directory"} {
		if !strings.Contains(text, want) {
			t.Errorf("the warning does not say %q:\n%s", want, text)
		}
	}
	for range 3 {
		w.clock.pass(2 * time.Hour)
		run.all()
	}
	if n := len(late()); n != 1 {
		t.Errorf("%d warnings", n)
	}
	w.clock.pass(noticeLife)
	run.all()
	if got := counts(w.receipts()); got[rem.NotificationForAcceptanceFailure] != 1 || got[rem.SubmissionAcceptance] != 1 {
		t.Errorf("receipts %v", got)
	}
	w.wantEvents(c.ID, "NotificationForAcceptanceFailure")
}
