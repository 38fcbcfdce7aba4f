package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// querier is what statements run on: a pool, a transaction, a connection, or
// the prepared statements of one of them.
type querier interface {
	ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

// statements runs each text as a prepared statement. Texts without arguments
// (scripts) and those beyond maxStatements run directly.
type statements struct {
	on interface {
		querier
		PrepareContext(ctx context.Context, text string) (*sql.Stmt, error)
	}
	mu    sync.Mutex
	known map[string]*sql.Stmt
}

const maxStatements = 500

func (s *statements) prepared(text string, args []any) (*sql.Stmt, error) {
	if len(args) == 0 {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st, ok := s.known[text]; ok || len(s.known) >= maxStatements {
		return st, nil
	}
	st, err := s.on.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, err
	}
	if s.known == nil {
		s.known = make(map[string]*sql.Stmt)
	}
	s.known[text] = st
	return st, nil
}

func (s *statements) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	st, err := s.prepared(text, args)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return s.on.ExecContext(ctx, text, args...)
	}
	return st.ExecContext(ctx, args...)
}

func (s *statements) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	st, err := s.prepared(text, args)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return s.on.QueryContext(ctx, text, args...)
	}
	return st.QueryContext(ctx, args...)
}

// session is one place to run statements: a read, or a transaction under way.
type session struct {
	ctx context.Context
	q   querier
	d   *dialect
}

func (db *DB) read(ctx context.Context) *session { return &session{ctx, db.reader, db.d} }

// exec answers how many rows were changed.
func (s *session) exec(text string, args ...any) (int, error) {
	plain, err := bind(args)
	if err != nil {
		return 0, err
	}
	res, err := s.q.ExecContext(s.ctx, text, plain...)
	if err != nil {
		return 0, s.d.explain(err)
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// each calls f for every row of a query. f must not run another query: the
// connection is busy.
func (s *session) each(f func(scan func(dest ...any) error) error, text string, args ...any) error {
	plain, err := bind(args)
	if err != nil {
		return err
	}
	rows, err := s.q.QueryContext(s.ctx, text, plain...)
	if err != nil {
		return s.d.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return s.d.explain(rows.Err())
}

// get scans the first row of a query: ErrNotFound when there is none.
func (s *session) get(dest []any, text string, args ...any) error {
	found := false
	err := s.each(func(scan func(...any) error) error {
		if found {
			return nil
		}
		found = true
		return scan(dest...)
	}, text, args...)
	if err == nil && !found {
		err = ErrNotFound
	}
	return err
}

// list collects the rows of a query. row gives the places one row is scanned to.
func list[T any](s *session, row func(*T) []any, text string, args ...any) ([]T, error) {
	var out []T
	err := s.each(func(scan func(...any) error) error {
		var x T
		if err := scan(row(&x)...); err != nil {
			return err
		}
		out = append(out, x)
		return nil
	}, text, args...)
	return out, err
}

// bind turns our values into those every engine takes, and refuses text that
// one of them cannot hold.
func bind(args []any) ([]any, error) {
	out := make([]any, len(args))
	for i, a := range args {
		var err error
		if out[i], err = bindOne(a); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func bindOne(a any) (any, error) {
	switch v := a.(type) {
	case nil, int64, []byte:
		return v, nil
	case string:
		return plainText(v)
	case State:
		return plainText(string(v))
	case Role:
		return plainText(string(v))
	case rem.Event:
		return plainText(string(v))
	case rem.Grade:
		return plainText(string(v))
	case int:
		return int64(v), nil
	case uint32:
		return int64(v), nil
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case time.Time:
		return micros(v), nil
	case rem.Digest:
		if v.IsZero() {
			return nil, nil
		}
		return v[:], nil
	}
	return nil, fmt.Errorf("argument of type %T", a)
}

func plainText(s string) (any, error) {
	if strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
		return nil, ErrText
	}
	return s, nil
}

// shown makes text from outside fit for a column and at most n octets long.
func shown(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// micros is a time as columns hold it; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// instant scans a time.
type instant struct{ t *time.Time }

func (i instant) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("time from %T", src)
	}
	*i.t = time.Time{}
	if n != 0 {
		*i.t = time.UnixMicro(n).UTC()
	}
	return nil
}

// octets scans a digest; NULL is the zero digest.
type octets struct{ d *rem.Digest }

func (o octets) Scan(src any) error {
	*o.d = rem.Digest{}
	if src == nil {
		return nil
	}
	b, ok := src.([]byte)
	if !ok || len(b) != len(o.d) {
		return fmt.Errorf("digest from %T", src)
	}
	copy(o.d[:], b)
	return nil
}

// document scans a column of JSON.
type document struct{ v any }

func (d document) Scan(src any) error {
	switch s := src.(type) {
	case string:
		return json.Unmarshal([]byte(s), d.v)
	case []byte:
		return json.Unmarshal(s, d.v)
	}
	return fmt.Errorf("JSON from %T", src)
}

func toJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}
