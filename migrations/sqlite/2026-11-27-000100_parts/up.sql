-- What a message has beside its content.
ALTER TABLE messages ADD COLUMN thread_id BLOB;         -- the first message of the thread that it is in
ALTER TABLE messages ADD COLUMN has BIGINT NOT NULL DEFAULT 0; -- which rows elsewhere belong to it: 1 reactions, 2 replies
ALTER TABLE messages ADD COLUMN pinned_update BIGINT;   -- the counter when it was pinned
ALTER TABLE messages ADD COLUMN pinned_at BIGINT;
ALTER TABLE messages ADD COLUMN pinned_by BLOB;
ALTER TABLE messages ADD COLUMN forward_of BLOB;        -- the message that it forwards
ALTER TABLE messages ADD COLUMN forwarded_from BLOB;    -- the first sender of what it forwards
ALTER TABLE messages ADD COLUMN forwarded_at BIGINT;    -- when that user sent it
-- A thread's summary comes from this index alone.
CREATE INDEX messages_thread ON messages (thread_id, seq, created_at) WHERE thread_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX messages_pinned ON messages (conversation_id, pinned_update) WHERE pinned_update IS NOT NULL;

CREATE TABLE reactions (
    message_id BLOB   NOT NULL,
    user_id    BLOB   NOT NULL REFERENCES users (id),
    emoji      TEXT   NOT NULL,
    "update"   BIGINT NOT NULL,                         -- the number of the conversation that it took
    created_at BIGINT NOT NULL,
    PRIMARY KEY (message_id, user_id, emoji)
) WITHOUT ROWID;
CREATE UNIQUE INDEX reactions_in_order ON reactions (message_id, "update");

-- What a message said before its edits.
CREATE TABLE versions (
    message_id BLOB   NOT NULL,
    nth        BIGINT NOT NULL,                         -- grows with each edit
    content    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (message_id, nth)
) WITHOUT ROWID;
