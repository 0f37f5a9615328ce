-- How far each follower of the log has come: it has handled every change of a message below the revision.
CREATE TABLE followers (
    name      TEXT   NOT NULL PRIMARY KEY,
    revision  BIGINT NOT NULL,
    leader    UUID,        -- the process that leads
    lapses_at TIMESTAMPTZ  -- until when it leads without a sign of life
);
