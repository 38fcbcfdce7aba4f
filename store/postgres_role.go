package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrStrongRole means that the role which serves may change what is
// insert-only: it owns the tables, or somebody granted too much.
var ErrStrongRole = errors.New("the database role may change what is insert-only")

// The triggers keep our own faults from changing what counts. An intruder who
// has the database password of a serving node could drop them, were that role
// the owner of the tables. So the owner may be another role, whose password
// (Config.Owner) is used at the start alone: it brings the schema up to date and
// grants the serving role what the guards leave open, nothing more. An operator
// prepares the two roles so:
//
//	CREATE ROLE cryptogramm_owner LOGIN PASSWORD '…';
//	CREATE ROLE cryptogramm LOGIN PASSWORD '…';
//	CREATE DATABASE cryptogramm OWNER cryptogramm_owner;

// withheld is what no serving process does, beside what the guards refuse.
var withheld = []guard{
	{Table: "schema_version", Verb: "INSERT"}, {Table: "schema_version", Verb: "UPDATE"}, {Table: "schema_version", Verb: "DELETE"},
	{Table: "evidence_record", Verb: "DELETE"}, // erasure is the owner's
	{Table: "settings", Verb: "UPDATE"}, {Table: "settings", Verb: "DELETE"},
}

// prepareAsOwner migrates with the owner's connection and grants role what a
// serving process needs.
func (db *DB) prepareAsOwner(ctx context.Context, dsn, role string) error {
	pg, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer pg.Close()
	owner := &DB{d: db.d, now: db.now, hub: newHub(), reads: pg, reader: pg, writer: &pool{db: pg, d: db.d}}
	if err := owner.migrate(ctx); err != nil {
		return err
	}
	return owner.write(ctx, func(t *tx) error { return t.grant(role) })
}

// grant takes every right on our tables away from a role and gives it those that
// the guards leave open. It waits for other nodes that do the same.
func (t *tx) grant(role string) error {
	if _, err := t.exec(t.d.lock); err != nil {
		return err
	}
	to := pgx.Identifier{role}.Sanitize()
	var schema string
	if err := t.get([]any{&schema}, "SELECT current_schema()"); err != nil {
		return err
	}
	statements := []string{
		"GRANT USAGE ON SCHEMA " + pgx.Identifier{schema}.Sanitize() + " TO " + to,
		"REVOKE ALL ON ALL TABLES IN SCHEMA " + pgx.Identifier{schema}.Sanitize() + " FROM " + to,
	}
	guards, err := allGuards(t.d)
	if err != nil {
		return err
	}
	tables, err := t.tableColumns()
	if err != nil {
		return err
	}
	for table, columns := range tables {
		rights := []string{"SELECT"}
		for _, verb := range []string{"INSERT", "UPDATE", "DELETE"} {
			if right := openRight(guards, table, verb, columns); right != "" {
				rights = append(rights, right)
			}
		}
		statements = append(statements, "GRANT "+strings.Join(rights, ", ")+" ON "+pgx.Identifier{schema, table}.Sanitize()+" TO "+to)
	}
	for _, text := range statements {
		if _, err := t.exec(text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}

// allGuards are what migrations refuse always, and what is withheld.
func allGuards(d *dialect) ([]guard, error) {
	steps, err := loadMigrations(d)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(withheld)
	for _, m := range steps {
		for _, g := range m.guards {
			if g.When == "" {
				all = append(all, g)
			}
		}
	}
	return all, nil
}

// tableColumns are the columns of each of our tables.
func (s *session) tableColumns() (map[string][]string, error) {
	out := make(map[string][]string)
	return out, s.each(func(scan func(...any) error) error {
		var table, column string
		err := scan(&table, &column)
		out[table] = append(out[table], column)
		return err
	}, `SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN pg_tables t ON t.schemaname = c.table_schema AND t.tablename = c.table_name
		WHERE c.table_schema = current_schema() ORDER BY c.table_name, c.ordinal_position`)
}

// openRight is what guards leave of a right: "UPDATE", "UPDATE (column, …)", or
// nothing.
func openRight(guards []guard, table, verb string, columns []string) string {
	open := slices.Clone(columns)
	for _, g := range guards {
		if g.Table != table || g.Verb != verb {
			continue
		}
		if g.Columns == "" {
			return ""
		}
		for _, c := range strings.Split(g.Columns, ",") {
			open = slices.DeleteFunc(open, func(o string) bool { return o == strings.TrimSpace(c) })
		}
	}
	switch len(open) {
	case 0:
		return ""
	case len(columns):
		return verb
	}
	return verb + " (" + strings.Join(open, ", ") + ")"
}

// weakRole looks whether the role that serves can do what the guards refuse: by
// a grant, as the owner, as a member of the owner, or as a superuser.
func (db *DB) weakRole(ctx context.Context) error {
	guards, err := allGuards(db.d)
	if err != nil {
		return err
	}
	s := db.read(ctx)
	for _, g := range guards {
		text, args := "SELECT has_table_privilege(current_user, to_regclass($1)::oid, $2)", []any{g.Table, g.Verb}
		if g.Columns != "" {
			column, _, _ := strings.Cut(g.Columns, ",")
			text, args = "SELECT has_column_privilege(current_user, to_regclass($1)::oid, $2, $3)", []any{g.Table, column, g.Verb}
		}
		var can sql.NullBool
		if err := s.get([]any{&can}, text, args...); err != nil {
			return err
		}
		if !can.Valid || can.Bool {
			return fmt.Errorf("%w: %s on %s", ErrStrongRole, g.Verb, g.Table)
		}
	}
	return nil
}
