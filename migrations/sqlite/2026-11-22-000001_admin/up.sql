-- Accounts that are switched off, the record of what admins did, and how far retention has come.

ALTER TABLE users ADD COLUMN disabled_at BIGINT; -- since when one cannot log in
CREATE INDEX sessions_last_seen ON sessions (user_id, last_seen_at);

ALTER TABLE conversations ADD COLUMN expired_up_to BIGINT NOT NULL DEFAULT 0; -- a seq: retention has deleted all up to it
CREATE INDEX files_created_at ON files (created_at);
CREATE INDEX files_uploader ON files (uploader_id, id);
CREATE INDEX conversations_rooms ON conversations (id) WHERE first_user IS NULL; -- groups and the broadcast: an export walks through them

-- Numbered from 1 in the order of commits, with no number left out. Of user_id and group_id one is set: to whom it was done.
CREATE TABLE audit (
    number     BIGINT NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    actor_id   BLOB REFERENCES users (id), -- none: the command line
    action     TEXT   NOT NULL,
    user_id    BLOB REFERENCES users (id),
    group_id   BLOB REFERENCES conversations (id),
    CHECK ((user_id IS NULL) <> (group_id IS NULL))
) WITHOUT ROWID;
