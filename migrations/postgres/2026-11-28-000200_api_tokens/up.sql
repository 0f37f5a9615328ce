-- A token of a program is a session of its own, which no login began. The table holds the hash of its secret: nothing
-- that is good as a token. One that nobody has used yet was last seen in 1970.
ALTER TABLE sessions ADD COLUMN token_hash BYTEA;          -- SHA-256 of the secret; none in a login
ALTER TABLE sessions ADD COLUMN token_name TEXT;
ALTER TABLE sessions ADD COLUMN token_scopes BIGINT;    -- 1 read, 2 send, 4 manage
ALTER TABLE sessions ADD COLUMN token_expires_at TIMESTAMPTZ;
-- Logins alone end because nobody uses them.
DROP INDEX sessions_unused;
CREATE INDEX sessions_unused ON sessions (last_seen_at) WHERE revoked_at IS NULL AND token_hash IS NULL;
CREATE INDEX sessions_expired ON sessions (token_expires_at) WHERE token_expires_at IS NOT NULL;
CREATE INDEX tokens_of_user ON sessions (user_id, created_at) WHERE revoked_at IS NULL AND token_hash IS NOT NULL;
