DELETE FROM sessions WHERE token_hash IS NOT NULL;
DROP INDEX tokens_of_user;
DROP INDEX sessions_expired;
DROP INDEX sessions_unused;
CREATE INDEX sessions_unused ON sessions (last_seen_at) WHERE revoked_at IS NULL;
ALTER TABLE sessions DROP COLUMN token_expires_at;
ALTER TABLE sessions DROP COLUMN token_scopes;
ALTER TABLE sessions DROP COLUMN token_name;
ALTER TABLE sessions DROP COLUMN token_hash;
