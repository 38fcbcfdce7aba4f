package store

import (
	"fmt"
	"strings"
)

// insertion adds rows of one shape to a table, several by one statement.
type insertion struct {
	into string // "table (column, …)"
	on   string // "ON CONFLICT …" or ""
	rows [][]any
}

// insertBlocks are the statement sizes in use: few texts, each prepared once.
var insertBlocks = [...]int{64, 16, 4, 1}

// insert answers how many rows were added.
func (s *session) insert(in insertion) (int, error) {
	added := 0
	rows := in.rows
	for _, block := range insertBlocks {
		for len(rows) >= block {
			n, err := s.insertBlock(in, rows[:block])
			if err != nil {
				return 0, err
			}
			added += n
			rows = rows[block:]
		}
	}
	return added, nil
}

func (s *session) insertBlock(in insertion, rows [][]any) (int, error) {
	width := len(rows[0])
	args := make([]any, 0, len(rows)*width)
	var b strings.Builder
	b.WriteString("INSERT INTO ")
	b.WriteString(in.into)
	b.WriteString(" VALUES ")
	for i, row := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(" + dollars(1+len(args), width) + ")")
		args = append(args, row...)
	}
	if in.on != "" {
		b.WriteString(" " + in.on)
	}
	n, err := s.exec(b.String(), args...)
	if err != nil {
		return 0, fmt.Errorf("add to %s: %w", in.into[:strings.IndexByte(in.into, ' ')], err)
	}
	return n, nil
}
