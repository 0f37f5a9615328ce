-- Ids are UUIDs in 16 bytes, times are microseconds since the epoch. The Postgres folder has the same tables.

CREATE TABLE users (
    id            BLOB    NOT NULL PRIMARY KEY,
    username      TEXT    NOT NULL,
    username_key  TEXT    NOT NULL, -- folded; stays taken after deletion
    email         TEXT,
    email_key     TEXT,             -- folded
    password_hash TEXT,
    display_name  TEXT,
    role          TEXT    NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin')),
    created_at    BIGINT  NOT NULL,
    updated_at    BIGINT  NOT NULL,
    deleted_at    BIGINT,
    roster_revision BIGINT NOT NULL DEFAULT 0 -- of the last time one was taken out of a group
) WITHOUT ROWID;
CREATE UNIQUE INDEX users_username_key ON users (username_key);
CREATE UNIQUE INDEX users_email_key ON users (email_key) WHERE email_key IS NOT NULL;

CREATE TABLE sessions (
    id           BLOB   NOT NULL PRIMARY KEY,
    user_id      BLOB   NOT NULL REFERENCES users (id),
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    user_agent   TEXT,
    revoked_at   BIGINT
) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);

-- A direct conversation has its ordered pair of users, a group its name; the broadcast is one row.
CREATE TABLE conversations (
    id           BLOB   NOT NULL PRIMARY KEY,
    kind         TEXT   NOT NULL CHECK (kind IN ('direct', 'group', 'broadcast')),
    "update"     BIGINT NOT NULL DEFAULT 0, -- the counter: every change of a message takes the next number
    last_seq     BIGINT NOT NULL DEFAULT 0, -- the newest message's, deleted or not
    active_at    BIGINT,                    -- when the newest message was sent
    first_user   BLOB REFERENCES users (id),
    second_user  BLOB REFERENCES users (id),
    name         TEXT,
    name_key     TEXT,                      -- folded
    description  TEXT,
    visibility   TEXT CHECK (visibility IN ('private', 'public')),
    member_count BIGINT NOT NULL DEFAULT 0, -- changes in the transaction that changes the members
    revision        BIGINT NOT NULL DEFAULT 0, -- of the last change of a message: where live connections resume
    roster_revision BIGINT NOT NULL DEFAULT 0, -- of the last change of the group or its members
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    deleted_at   BIGINT,
    CHECK ((kind = 'direct') = (first_user IS NOT NULL AND second_user IS NOT NULL)),
    CHECK ((kind = 'group') = (name IS NOT NULL AND name_key IS NOT NULL AND description IS NOT NULL AND visibility IS NOT NULL))
) WITHOUT ROWID;
CREATE UNIQUE INDEX conversations_pair ON conversations (first_user, second_user) WHERE first_user IS NOT NULL;
CREATE UNIQUE INDEX conversations_name_key ON conversations (name_key) WHERE name_key IS NOT NULL AND deleted_at IS NULL;
INSERT INTO conversations (id, kind, created_at, updated_at)
VALUES (x'01900000000070008000000000000001', 'broadcast', 0, 0);

-- Who is in a conversation, and up to where each has seen everything. The two of a direct one are in it from its first
-- message on; in the broadcast one gets a row when one marks something.
CREATE TABLE members (
    conversation_id BLOB   NOT NULL REFERENCES conversations (id),
    user_id         BLOB   NOT NULL REFERENCES users (id),
    role            TEXT   NOT NULL CHECK (role IN ('member', 'admin', 'owner')),
    read_up_to      BIGINT NOT NULL DEFAULT 0, -- a seq: all up to it is seen, one's own or deleted
    joined_at       BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user_id, conversation_id);

CREATE TABLE files (
    id          BLOB   NOT NULL PRIMARY KEY,
    uploader_id BLOB   NOT NULL REFERENCES users (id),
    name        TEXT   NOT NULL,
    size        BIGINT NOT NULL,
    type        TEXT   NOT NULL,
    sha256      BLOB   NOT NULL,
    created_at  BIGINT NOT NULL,
    deleted_at  BIGINT
) WITHOUT ROWID;

-- Clustered by conversation and place in it: a page of a conversation is a few neighbouring pages of the file.
CREATE TABLE messages (
    conversation_id BLOB   NOT NULL REFERENCES conversations (id),
    seq             BIGINT NOT NULL,           -- the counter when it was sent
    id              BLOB   NOT NULL,
    sender_id       BLOB   NOT NULL REFERENCES users (id),
    type            TEXT   NOT NULL CHECK (type IN ('text', 'image', 'file')),
    content         TEXT   NOT NULL,           -- empty once deleted
    file_id         BLOB REFERENCES files (id),
    reply_to        BLOB,
    client_id       TEXT,                      -- the idempotency key
    sent_digest     BLOB,                      -- SHA-256 of the content it was sent with, once that is no longer here
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    edited_at       BIGINT,
    deleted_at      BIGINT,
    "update"        BIGINT NOT NULL,           -- the counter at its last change
    revision        BIGINT NOT NULL,           -- of its last change, over all conversations: grows with "update"
    PRIMARY KEY (conversation_id, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX messages_id ON messages (id);
CREATE UNIQUE INDEX messages_client_id ON messages (sender_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX messages_file ON messages (file_id) WHERE file_id IS NOT NULL;
-- Only what changed after it was sent: for the rest, "update" is seq and the clustered table serves. Half the pages to
-- write for every message sent.
CREATE INDEX messages_changed ON messages (conversation_id, "update") WHERE "update" <> seq;

-- That a user saw, at that moment, everything in (from_seq, seq]: one message, or a stretch when reading up to a place.
-- Those of one user do not overlap.
CREATE TABLE receipts (
    conversation_id BLOB   NOT NULL REFERENCES conversations (id),
    user_id         BLOB   NOT NULL REFERENCES users (id),
    seq             BIGINT NOT NULL,
    from_seq        BIGINT NOT NULL CHECK (from_seq < seq),
    seen_at         BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, user_id, seq)
) WITHOUT ROWID;

-- One row. Every start of a server takes the next number: revisions handed out by an earlier one stay behind its own.
CREATE TABLE server (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    starts BIGINT  NOT NULL
);
INSERT INTO server (id, starts) VALUES (1, 0);
