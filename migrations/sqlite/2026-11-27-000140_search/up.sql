-- How far each follower of the log has come: it has handled every change of a message below the revision.
CREATE TABLE followers (
    name      TEXT   NOT NULL PRIMARY KEY,
    revision  BIGINT NOT NULL,
    leader    BLOB,   -- the process that leads
    lapses_at BIGINT  -- until when it leads without a sign of life
) WITHOUT ROWID;
-- Followers read changes in the order of commits.
CREATE INDEX messages_revision ON messages (revision);
