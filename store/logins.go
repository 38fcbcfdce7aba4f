package store

import (
	"context"
	"fmt"
)

// DeleteSessions ends every session of a user and every other login that his
// account had until now: who keeps one compares Logins.
func (db *DB) DeleteSessions(ctx context.Context, user string) error {
	err := db.write(ctx, func(t *tx) error { return t.endLogins(user) })
	if err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}

func (t *tx) endLogins(user string) error {
	if _, err := t.exec("DELETE FROM sessions WHERE account = $1", user); err != nil {
		return err
	}
	_, err := t.exec("UPDATE users SET logins = logins + 1 WHERE id = $1", user)
	t.touch(user)
	return err
}

// Logins answers User.Logins as it is now: ErrNotFound.
func (db *DB) Logins(ctx context.Context, user string) (n int64, err error) {
	if err := db.read(ctx).get([]any{&n}, "SELECT logins FROM users WHERE id = $1", user); err != nil {
		return 0, fmt.Errorf("logins of %s: %w", user, err)
	}
	return n, nil
}

// WatchLogins calls f when Logins of a user may have grown, by this process or
// another node, until stop. f may be called for nothing; it returns at once and
// does not use the database.
func (db *DB) WatchLogins(user string, f func()) (stop func()) {
	db.hub.listen()
	return db.hub.alarm(user, &f)
}
