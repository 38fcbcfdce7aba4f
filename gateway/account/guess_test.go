package account

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func (f *fixture) guess(t testing.TB, peer, subject string, right bool) error {
	t.Helper()
	return f.Guess(t.Context(), Guess{Door: "test", Peer: peer, Subject: subject}, func() bool { return right })
}

func TestGuessBudgetOfASubject(t *testing.T) {
	f := setup(t)
	for i := range budgetSubject {
		wantErr(t, "right guesses cost nothing", f.guess(t, "", "letter:1", true), nil)
		wantErr(t, fmt.Sprint("wrong guess ", i), f.guess(t, fmt.Sprintf("192.0.2.%d", i), "letter:1", false), ErrDenied)
	}
	asked := false
	err := f.Guess(t.Context(), Guess{Peer: "198.51.100.1", Subject: "letter:1"}, func() bool { asked = true; return true })
	wantErr(t, "after the budget", err, ErrThrottled)
	if asked {
		t.Error("a guess was looked at after the budget was spent")
	}
	wantErr(t, "another subject", f.guess(t, "198.51.100.1", "letter:2", true), nil)
	f.clock.add(budgetWindow + time.Second)
	wantErr(t, "after the window", f.guess(t, "198.51.100.1", "letter:1", true), nil)
}

// A peer's failures are one budget, whatever he guesses at.
func TestGuessesAndLoginsShareThePeersBudget(t *testing.T) {
	f := setup(t)
	f.user(t, "anna@one.test")
	for i := range budgetPeer - 1 {
		wantErr(t, "guess", f.guess(t, "192.0.2.7", fmt.Sprint("letter:", i), false), ErrDenied)
	}
	wantErr(t, "login", f.login(t, "192.0.2.7", "anna@one.test", wrong), ErrDenied)
	wantErr(t, "guess after the budget", f.guess(t, "192.0.2.7", "letter:new", true), ErrThrottled)
	wantErr(t, "login after the budget", f.login(t, "192.0.2.7", "anna@one.test", secret), ErrThrottled)
	wantErr(t, "another peer", f.guess(t, "192.0.2.8", "letter:new", true), nil)
}

func TestParallelWrongGuessesAreCounted(t *testing.T) {
	f := setup(t)
	var tried atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			err := f.Guess(t.Context(), Guess{Subject: "letter:1"}, func() bool { tried.Add(1); return false })
			if !errors.Is(err, ErrDenied) && !errors.Is(err, ErrThrottled) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if tried.Load() != budgetSubject {
		t.Errorf("%d of a hundred parallel guesses were looked at, want %d", tried.Load(), budgetSubject)
	}
}
