-- Sessions end by their last use, and refresh tokens renew them. The table holds the number of the refresh token that is
-- unspent, and when its predecessor was spent: nothing that is good as a token.
ALTER TABLE sessions ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
ALTER TABLE sessions ADD COLUMN spent_at TIMESTAMPTZ;
DROP INDEX sessions_created_at;
CREATE INDEX sessions_ended ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX sessions_unused ON sessions (last_seen_at) WHERE revoked_at IS NULL;
