package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"text/template"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migration is one numbered step of the schema, in words of one dialect.
type migration struct {
	version int
	script  string
	guards  []guard // the triggers it makes
}

// migrate brings the schema to this program's version, each step in its own
// transaction. Steps are never edited once released.
func (db *DB) migrate(ctx context.Context) error {
	steps, err := loadMigrations(db.d)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	for _, m := range steps {
		if err := db.write(ctx, func(t *tx) error { return t.step(m, len(steps)) }); err != nil {
			return fmt.Errorf("migration %d: %w", m.version, err)
		}
	}
	return nil
}

// step applies one migration unless the schema has it.
func (t *tx) step(m migration, newest int) error {
	if t.d.lock != "" {
		if _, err := t.exec(t.d.lock); err != nil {
			return err
		}
	}
	var tables, have int
	if err := t.get([]any{&tables}, t.d.tables, "schema_version"); err != nil {
		return err
	}
	if tables > 0 {
		if err := t.get([]any{&have}, "SELECT MAX(version) FROM schema_version"); err != nil {
			return err
		}
	}
	if have > newest {
		return fmt.Errorf("%w: schema version %d, this program knows %d", ErrNewer, have, newest)
	}
	if have >= m.version {
		return nil
	}
	if _, err := t.exec(m.script); err != nil {
		return err
	}
	_, err := t.exec("INSERT INTO schema_version (version, applied) VALUES ($1, $2)", m.version, t.now)
	return err
}

// loadMigrations reads the steps in order; their numbers have no gaps.
func loadMigrations(d *dialect) ([]migration, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(names) == 0 {
		return nil, errors.Join(err, errors.New("none embedded"))
	}
	var steps []migration
	for i, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("%s: not number %d", name, i+1)
		}
		m := migration{version: version}
		if m.script, err = m.render(d, name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		steps = append(steps, m)
	}
	return steps, nil
}

// render fills in the dialect's words.
func (m *migration) render(d *dialect, name string) (string, error) {
	word := func(s string) func() string { return func() string { return s } }
	words := template.FuncMap{
		"int": word(d.integer), "text": word(d.text), "blob": word(d.blob), "strict": word(d.strict), "keyed": word(d.keyed),
		"prologue": word(d.prologue),
		// refuse VERB TABLE COLUMNS WHEN
		"refuse": func(verb, table, columns, when string) string {
			g := guard{Name: fmt.Sprintf("guard_%s_%s", table, strings.ToLower(verb)), Table: table, Verb: verb, Columns: columns, When: when}
			if when != "" {
				g.Name += "_once"
			}
			m.guards = append(m.guards, g)
			return d.guard(g)
		},
	}
	text, err := migrations.ReadFile(name)
	if err != nil {
		return "", err
	}
	tmpl, err := template.New(name).Funcs(words).Parse(string(text))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = tmpl.Execute(&b, nil)
	return b.String(), err
}
