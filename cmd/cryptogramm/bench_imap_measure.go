package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// imapMeasure measures one server.
type imapMeasure struct {
	*BenchIMAPCmd
	server imapServer
	row    func(imapRow)
}

const (
	benchBox    = "Bench"
	fetchBuffer = 64 << 10
	idleBuffer  = 4 << 10
	fillers     = 8
)

func (m *imapMeasure) all(ctx context.Context, letter []byte) error {
	if err := m.fill(ctx, letter); err != nil {
		return fmt.Errorf("fill the mailbox: %w", err)
	}
	if m.server.plain.address != "" {
		if err := m.fetches(ctx, "plain", m.server.plain); err != nil {
			return err
		}
	}
	if err := m.fetches(ctx, "TLS", m.server.tls); err != nil {
		return err
	}
	if err := m.lists(ctx); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if err := m.idle(ctx); err != nil {
		return fmt.Errorf("idle: %w", err)
	}
	return nil
}

// fill appends letters, each under a header of its own, to a new mailbox.
func (m *imapMeasure) fill(ctx context.Context, letter []byte) error {
	var left atomic.Int64
	left.Store(int64(m.Letters))
	first, err := m.server.tls.dial(ctx, fetchBuffer)
	if err != nil {
		return err
	}
	defer first.close()
	if err := first.do("CREATE " + benchBox); err != nil {
		return err
	}
	start := time.Now()
	err = each(fillers, func(int) error {
		c, err := m.server.tls.dial(ctx, fetchBuffer)
		if err != nil {
			return err
		}
		defer c.close()
		for n := left.Add(-1); n >= 0; n = left.Add(-1) {
			if err := c.append(benchBox, slices.Concat(fmt.Appendf(nil, "X-Bench: %d\r\n", n), letter)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		m.row(imapRow{m.server.name, fmt.Sprintf("APPEND by %d clients, TLS", fillers), float64(m.Letters) / time.Since(start).Seconds(), "letters/s"})
	}
	return err
}

// each runs f side by side and answers the first error.
func each(n int, f func(i int) error) error {
	failed := make(chan error, n)
	var end sync.WaitGroup
	for i := range n {
		end.Go(func() {
			if err := f(i); err != nil {
				failed <- err
			}
		})
	}
	end.Wait()
	close(failed)
	return <-failed
}

// fetches are whole letters: all in one command, a command for each, and by
// eight clients at once.
func (m *imapMeasure) fetches(ctx context.Context, how string, door imapDoor) error {
	for _, f := range []struct {
		what           string
		clients, batch int
	}{
		{"FETCH BODY[], one command", 1, m.Fetch}, {"FETCH BODY[], a command per letter", 1, 1}, {"FETCH BODY[], 8 clients", 8, m.Fetch},
	} {
		var rates []float64
		for range m.Rounds {
			rate, err := m.fetch(ctx, door, f.clients, f.batch)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", f.what, how, err)
			}
			rates = append(rates, rate)
		}
		m.row(imapRow{m.server.name, f.what + ", " + how, median(rates), "letters/s"})
	}
	return nil
}

func (m *imapMeasure) fetch(ctx context.Context, door imapDoor, clients, batch int) (perSecond float64, err error) {
	open := make([]*benchIMAP, clients)
	for i := range open {
		if open[i], err = door.dial(ctx, fetchBuffer); err != nil {
			return 0, err
		}
		defer open[i].close()
		if err = open[i].open(benchBox); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	err = each(clients, func(i int) error {
		got := 0
		for n := 1; n <= m.Fetch; n += batch {
			if err := open[i].do(fmt.Sprintf("FETCH %d:%d (BODY.PEEK[])", n, min(n+batch-1, m.Fetch))); err != nil {
				return err
			}
			got += open[i].fetched
		}
		if got != m.Fetch {
			return fmt.Errorf("%d letters of %d", got, m.Fetch)
		}
		return nil
	})
	return float64(clients*m.Fetch) / time.Since(start).Seconds(), err
}

// lists are what a mail program does with a mailbox it does not know: first
// with nothing in any cache, then again.
func (m *imapMeasure) lists(ctx context.Context) error {
	if err := m.server.cold(ctx); err != nil {
		return fmt.Errorf("make cold: %w", err)
	}
	var warm []float64
	for round := range m.Rounds + 1 {
		c, err := m.server.tls.dial(ctx, fetchBuffer)
		if err != nil {
			return err
		}
		start := time.Now()
		if err = c.open(benchBox); err == nil {
			err = c.do("FETCH 1:* (FLAGS UID ENVELOPE BODYSTRUCTURE)")
		}
		took := float64(time.Since(start).Microseconds()) / 1000
		if err == nil && c.fetched != m.Letters {
			err = fmt.Errorf("%d letters of %d", c.fetched, m.Letters)
		}
		c.close()
		if err != nil {
			return err
		}
		if round == 0 {
			m.row(imapRow{m.server.name, fmt.Sprintf("SELECT, list of %d, TLS, cold", m.Letters), took, "ms"})
			continue
		}
		warm = append(warm, took)
	}
	m.row(imapRow{m.server.name, fmt.Sprintf("SELECT, list of %d, TLS, warm", m.Letters), median(warm), "ms"})
	return nil
}

// idle weighs the server before and with many connections that wait.
func (m *imapMeasure) idle(ctx context.Context) error {
	pid, err := m.server.pid()
	if err != nil {
		return err
	}
	before, err := weigh(pid)
	if err != nil {
		return err
	}
	open := make([]*benchIMAP, m.Idle)
	defer func() {
		for _, c := range open {
			if c != nil {
				c.close()
			}
		}
	}()
	err = each(min(fillers, m.Idle), func(first int) error {
		for i := first; i < m.Idle; i += fillers {
			var err error
			if open[i], err = m.server.tls.dial(ctx, idleBuffer); err != nil {
				return err
			}
			if err := open[i].open(benchBox); err != nil {
				return err
			}
			if err := open[i].do("IDLE"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	after, err := weigh(pid)
	m.row(imapRow{m.server.name, fmt.Sprintf("memory of each of %d idle connections, TLS", m.Idle), float64(after-before) / float64(max(m.Idle, 1)), "KB"})
	return err
}
