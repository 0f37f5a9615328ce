DROP INDEX sessions_unused;
DROP INDEX sessions_ended;
CREATE INDEX sessions_created_at ON sessions (created_at);
ALTER TABLE sessions DROP COLUMN spent_at;
ALTER TABLE sessions DROP COLUMN generation;
