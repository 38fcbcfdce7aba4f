package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cryptogramm.ru/cryptogramm/store/floor"
)

// BenchIntakeCmd sends signed letters of 20 KB over TLS with AUTH.
type BenchIntakeCmd struct {
	benchPlace
	Sessions []int         `help:"Sessions at once." default:"1,8,32" placeholder:"N"`
	Rounds   int           `help:"How often; medians count." default:"3"`
	Letters  int           `help:"Letters of each measurement." default:"1500"`
	Floor    time.Duration `help:"How long the floor is measured." default:"3s"`
}

// intakeRow is one measurement, or the medians of all rounds (round 0).
type intakeRow struct {
	Round    int     `json:"round"`
	Sessions int     `json:"sessions"`
	Connect  string  `json:"connect"` // "once", or "each": a new connection for each letter
	Floor    float64 `json:"floor_per_s"`
	Letters  float64 `json:"letters_per_s"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Ratio    float64 `json:"of_floor"`
}

type intakeResult struct {
	Backend string      `json:"backend"`
	Rows    []intakeRow `json:"rows"`
}

// Run measures and prints each row as it is known.
func (c *BenchIntakeCmd) Run(ctx context.Context, s *Streams) int {
	r := intakeResult{Backend: c.backend(), Rows: []intakeRow{}}
	err := c.run(ctx, func(row intakeRow) {
		r.Rows = append(r.Rows, row)
		if !c.JSON {
			fmt.Fprintln(s.Out, row.text())
		}
	})
	if err != nil {
		return s.fail(err)
	}
	for _, row := range medians(r.Rows) {
		r.Rows = append(r.Rows, row)
		if !c.JSON {
			fmt.Fprintln(s.Out, row.text())
		}
	}
	if c.JSON {
		return s.json(r)
	}
	return exitOK
}

func (r intakeRow) text() string {
	round := fmt.Sprintf("round %d", r.Round)
	if r.Round == 0 {
		round = "median "
	}
	return fmt.Sprintf("%s  sessions %2d  connect %-4s  floor %5.0f/s  letters %5.0f/s  p50 %.1f ms  p99 %.1f ms  %.2f of the floor",
		round, r.Sessions, r.Connect, r.Floor, r.Letters, r.P50, r.P99, r.Ratio)
}

func (c *BenchIntakeCmd) run(ctx context.Context, row func(intakeRow)) (err error) {
	t, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.end()) }()
	load, err := newIntakeLoad(t.file)
	if err != nil {
		return err
	}
	if _, err := load.measure(ctx, 4, min(c.Letters, 100)); err != nil { // warm
		return err
	}
	for round := range c.Rounds {
		for _, n := range c.Sessions {
			for _, each := range []bool{false, true} {
				if each && n != 8 {
					continue // the figure to be ahead of is that of eight
				}
				if err := t.settle(ctx); err != nil {
					return err
				}
				f, err := floor.Measure(ctx, t.dir, n, c.Floor)
				if err != nil {
					return err
				}
				load.each = each
				m, err := load.measure(ctx, n, c.Letters)
				if err != nil {
					return err
				}
				m.Round, m.Floor, m.Ratio = round+1, f, m.Letters/f
				row(m)
			}
		}
	}
	return nil
}

// intakeLoad is eager senders of one signed letter under ever new headers.
type intakeLoad struct {
	file   demoFile
	config *tls.Config
	letter []byte
	each   bool // a connection for each letter
	sent   atomic.Int64
}

func newIntakeLoad(file demoFile) (*intakeLoad, error) {
	roots, err := pool(file.CA)
	if err != nil {
		return nil, err
	}
	letter, err := benchLetter(file.Parties[0], file.Parties[1].Email)
	return &intakeLoad{file: file, config: &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}, letter: letter}, err
}

// measure sends letters over sessions at once. The clock starts when all are
// logged in; a letter's time is from MAIL to the 250 after its last octet.
func (l *intakeLoad) measure(ctx context.Context, sessions, letters int) (intakeRow, error) {
	row := intakeRow{Sessions: sessions, Connect: "once"}
	if l.each {
		row.Connect = "each"
	}
	open := make([]*benchSMTP, sessions)
	for i := range open {
		var err error
		if open[i], err = dialBenchSMTP(ctx, l.file.SMTP.Submissions, l.config, l.file.Parties[0]); err != nil {
			return row, err
		}
		defer func() { open[i].close() }()
	}
	var left atomic.Int64
	left.Store(int64(letters))
	times := make([][]time.Duration, sessions)
	failed := make(chan error, sessions)
	var end sync.WaitGroup
	start := time.Now()
	for i := range open {
		end.Go(func() {
			for left.Add(-1) >= 0 {
				took, err := l.one(ctx, &open[i])
				if err != nil {
					failed <- err
					return
				}
				times[i] = append(times[i], took)
			}
		})
	}
	end.Wait()
	took := time.Since(start)
	close(failed)
	all := slices.Concat(times...)
	row.Letters, row.P50, row.P99 = float64(len(all))/took.Seconds(), percentile(all, 0.50), percentile(all, 0.99)
	return row, <-failed
}

func (l *intakeLoad) one(ctx context.Context, s **benchSMTP) (time.Duration, error) {
	begin := time.Now()
	head := fmt.Appendf(nil, "X-Bench: %d\r\n", l.sent.Add(1))
	if err := (*s).send(l.file.Parties[0].Email, l.file.Parties[1].Email, slices.Concat(head, l.letter)); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	if !l.each {
		return took, nil
	}
	(*s).close()
	next, err := dialBenchSMTP(ctx, l.file.SMTP.Submissions, l.config, l.file.Parties[0])
	if err == nil {
		*s = next
	}
	return took, err
}

// percentile is in milliseconds; 0 of nothing.
func percentile(all []time.Duration, p float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return float64(all[int(p*float64(len(all)-1))].Microseconds()) / 1000
}

// medians is one row for each kind of measurement.
func medians(rows []intakeRow) []intakeRow {
	type kind struct {
		sessions int
		connect  string
	}
	var order []kind
	by := map[kind][]intakeRow{}
	for _, r := range rows {
		k := kind{r.Sessions, r.Connect}
		if by[k] == nil {
			order = append(order, k)
		}
		by[k] = append(by[k], r)
	}
	var out []intakeRow
	for _, k := range order {
		of := func(field func(intakeRow) float64) float64 {
			var v []float64
			for _, r := range by[k] {
				v = append(v, field(r))
			}
			return median(v)
		}
		out = append(out, intakeRow{
			Sessions: k.sessions, Connect: k.connect,
			Floor:   of(func(r intakeRow) float64 { return r.Floor }),
			Letters: of(func(r intakeRow) float64 { return r.Letters }),
			P50:     of(func(r intakeRow) float64 { return r.P50 }),
			P99:     of(func(r intakeRow) float64 { return r.P99 }),
			Ratio:   of(func(r intakeRow) float64 { return r.Ratio }),
		})
	}
	return out
}

func median(v []float64) float64 {
	slices.Sort(v)
	if len(v)%2 == 1 {
		return v[len(v)/2]
	}
	return (v[len(v)/2-1] + v[len(v)/2]) / 2
}
