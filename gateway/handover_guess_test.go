package gateway

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/account"
)

// Who holds a link does not learn by trying to whom it was sent.
func TestAddressesCannotBeGuessed(t *testing.T) {
	w := newWorld(t)
	sub := w.send(signed(t, w.anna.Party), bob, dora)
	c, other := w.to(sub, bob), w.to(sub, dora)
	try := func(consignment, address, peer string) error {
		_, err := w.Handover(t.Context(), HandoverRequest{Consignment: consignment, Address: address, Peer: peer})
		return err
	}
	for i := range 30 {
		wantError(t, try(c.ID, "", "192.0.2.1"), ErrAddressMismatch) // costs nothing
		if i < 10 {
			wantError(t, try(c.ID, fmt.Sprintf("bob%d@out.test", i), fmt.Sprintf("192.0.2.%d", i)), ErrAddressMismatch)
		}
	}
	wantError(t, try(c.ID, bob, "198.51.100.1"), account.ErrThrottled)
	w.wantEvents(c.ID)
	if err := try(other.ID, dora, "198.51.100.1"); err != nil {
		t.Errorf("another consignment of the letter: %v", err)
	}
	w.clock.pass(16 * time.Minute)
	if err := try(c.ID, bob, "198.51.100.1"); err != nil {
		t.Errorf("after the window: %v", err)
	}
	w.wantEvents(c.ID, received...)
}

// One peer does not go through many links either.
func TestAddressesCannotBeGuessedAcrossConsignments(t *testing.T) {
	w := newWorld(t)
	var list []string
	for i := range 6 {
		list = append(list, fmt.Sprintf("r%d@out.test", i))
	}
	sub := w.send(signed(t, w.anna.Party), list...)
	wrong := 0
	for _, address := range list {
		c := w.to(sub, address)
		for range 9 {
			_, err := w.Handover(t.Context(), HandoverRequest{Consignment: c.ID, Address: "x@out.test", Peer: "192.0.2.1"})
			if errors.Is(err, ErrAddressMismatch) {
				wrong++
			} else {
				wantError(t, err, account.ErrThrottled)
			}
		}
	}
	if wrong != 50 {
		t.Errorf("a peer was answered %d wrong addresses, want 50", wrong)
	}
}
