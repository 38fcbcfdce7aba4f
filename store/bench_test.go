package store

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// BenchmarkAddSubmission adds letters of one document, one signature, one
// recipient, one evidence and one job, with the copy in Sent, from concurrent
// callers of one account.
func BenchmarkAddSubmission(b *testing.B) {
	for _, workers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("sqlite/%d", workers), func(b *testing.B) { benchAdd(b, sqlitePlace(b), workers) })
		if dsn := os.Getenv("CRYPTOGRAMM_POSTGRES"); dsn != "" {
			b.Run(fmt.Sprintf("postgres/%d", workers), func(b *testing.B) { benchAdd(b, postgresPlace(b, dsn), workers) })
		}
	}
}

func benchAdd(b *testing.B, p *place, workers int) {
	o := newOffice(b, p)
	db := o.db
	letters := make(chan NewSubmission, b.N)
	for range b.N {
		n := letter(o.alice, p.clock.now(), "bob@example.test")
		n.Sent = o.sentMail(n)
		letters <- n
	}
	close(letters)
	b.ResetTimer()
	before := processTime(b)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for n := range letters {
				if err := db.AddSubmission(ctx, n); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((processTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "letters/s")
}
