-- Logins that outlive a session of the web view: connections of mail programs.

ALTER TABLE users ADD COLUMN logins {{int}} NOT NULL DEFAULT 0; -- grows when all who are logged in have to log in again
