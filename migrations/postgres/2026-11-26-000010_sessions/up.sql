-- Sessions that nobody can use any more are forgotten, and those that have ended cost their user nothing.

ALTER TABLE users ADD COLUMN last_seen_at TIMESTAMPTZ; -- when the last used of the sessions was, of those that are forgotten

DROP INDEX sessions_by_user;
CREATE INDEX sessions_listed ON sessions (user_id, created_at) WHERE revoked_at IS NULL;
CREATE INDEX sessions_live ON sessions (user_id, last_seen_at) WHERE revoked_at IS NULL;
CREATE INDEX sessions_created_at ON sessions (created_at);
CREATE INDEX sessions_exported ON sessions (user_id, id);
