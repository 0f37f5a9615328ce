DROP INDEX sessions_exported;
DROP INDEX sessions_created_at;
DROP INDEX sessions_live;
DROP INDEX sessions_listed;
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
ALTER TABLE users DROP COLUMN last_seen_at;
