-- What owners of accounts choose, and their links to a new password.

ALTER TABLE users ADD COLUMN receipts_outside {{int}} NOT NULL DEFAULT 0; -- receipts are also mailed to users.email

CREATE INDEX tokens_subject ON tokens (kind, subject);
