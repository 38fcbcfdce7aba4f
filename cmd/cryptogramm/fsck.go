package main

import (
	"context"
	"fmt"

	"cryptogramm.ru/cryptogramm/gateway"
)

// FsckCmd checks an installation against itself. It exits 0 when everything
// that is claimed can be derived again, 1 when something cannot.
type FsckCmd struct {
	Place
	JSON bool `help:"Print JSON." name:"json"`
}

// fsckResult is what the check found.
type fsckResult struct {
	Submissions  int      `json:"submissions"`
	Letters      int      `json:"letters"`
	Unreferenced int      `json:"unreferenced"`
	Pending      int      `json:"pending"` // letters on this node alone, until the object store has them
	Problems     []string `json:"problems"`
}

// Run checks; it only reads.
func (c *FsckCmd) Run(ctx context.Context, s *Streams) int {
	config, db, err := c.open(ctx)
	if err != nil {
		return s.fail(err)
	}
	defer db.Close()
	blobs, err := config.blobsBeside()
	if err != nil {
		return s.fail(err)
	}
	defer blobs.Close()
	r := fsckResult{Problems: []string{}}
	check := gateway.Fsck{DB: db, Blobs: blobs, Report: func(p string) { r.Problems = append(r.Problems, p) }}
	broken := check.Run(ctx)
	r.Submissions, r.Letters, r.Unreferenced, r.Pending = check.Submissions, check.Files, check.Unreferenced, check.Pending
	code := exitOK
	if broken != nil {
		code = s.fail(fmt.Errorf("the check did not reach its end: %w", broken))
	}
	if len(r.Problems) > 0 {
		code = exitFail
	}
	if c.JSON {
		return max(code, s.json(r))
	}
	for _, p := range r.Problems {
		fmt.Fprintln(s.Out, "problem:", display(p))
	}
	fmt.Fprintf(s.Out, "%d submissions, %d letters, %d unreferenced, %d pending, %d problems\n", r.Submissions, r.Letters, r.Unreferenced, r.Pending, len(r.Problems))
	return code
}
