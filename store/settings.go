package store

import (
	"context"
	"fmt"
)

// Setting answers what was stored under a name: ErrNotFound.
func (db *DB) Setting(ctx context.Context, name string) (string, error) {
	value, err := db.read(ctx).setting(name)
	if err != nil {
		return "", fmt.Errorf("setting %s: %w", name, err)
	}
	return value, nil
}

func (s *session) setting(name string) (value string, err error) {
	err = s.get([]any{&value}, "SELECT value FROM settings WHERE name = $1", name)
	return value, err
}

// PutSettingOnce stores a value under a name unless there is one, and answers
// the one that stands: of any number of nodes the first has its way.
func (db *DB) PutSettingOnce(ctx context.Context, name, value string) (stored string, err error) {
	err = db.write(ctx, func(t *tx) error {
		if _, err := t.exec("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", name, value); err != nil {
			return err
		}
		stored, err = t.setting(name)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("put setting %s: %w", name, err)
	}
	return stored, nil
}
