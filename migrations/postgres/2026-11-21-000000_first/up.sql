-- The same tables as in the SQLite folder. Keys compare by code point (COLLATE "C"), as SQLite's do.

CREATE TABLE users (
    id            UUID    NOT NULL PRIMARY KEY,
    username      TEXT    NOT NULL,
    username_key  TEXT COLLATE "C"    NOT NULL, -- folded; stays taken after deletion
    email         TEXT,
    email_key     TEXT COLLATE "C",             -- folded
    password_hash TEXT,
    display_name  TEXT,
    role          TEXT    NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin')),
    created_at    TIMESTAMPTZ  NOT NULL,
    updated_at    TIMESTAMPTZ  NOT NULL,
    deleted_at    TIMESTAMPTZ,
    roster_revision BIGINT NOT NULL DEFAULT 0 -- of the last time one was taken out of a group
);
CREATE UNIQUE INDEX users_username_key ON users (username_key);
CREATE UNIQUE INDEX users_email_key ON users (email_key) WHERE email_key IS NOT NULL;

CREATE TABLE sessions (
    id           UUID   NOT NULL PRIMARY KEY,
    user_id      UUID   NOT NULL REFERENCES users (id),
    created_at   TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    user_agent   TEXT,
    revoked_at   TIMESTAMPTZ
);
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);

-- A direct conversation has its ordered pair of users, a group its name; the broadcast is one row.
CREATE TABLE conversations (
    id           UUID   NOT NULL PRIMARY KEY,
    kind         TEXT   NOT NULL CHECK (kind IN ('direct', 'group', 'broadcast')),
    "update"     BIGINT NOT NULL DEFAULT 0, -- the counter: every change of a message takes the next number
    last_seq     BIGINT NOT NULL DEFAULT 0, -- the newest message's, deleted or not
    active_at    TIMESTAMPTZ,                    -- when the newest message was sent
    first_user   UUID REFERENCES users (id),
    second_user  UUID REFERENCES users (id),
    name         TEXT,
    name_key     TEXT COLLATE "C",                      -- folded
    description  TEXT,
    visibility   TEXT CHECK (visibility IN ('private', 'public')),
    member_count BIGINT NOT NULL DEFAULT 0, -- changes in the transaction that changes the members
    revision        BIGINT NOT NULL DEFAULT 0, -- of the last change of a message: where live connections resume
    roster_revision BIGINT NOT NULL DEFAULT 0, -- of the last change of the group or its members
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    deleted_at   TIMESTAMPTZ,
    CHECK ((kind = 'direct') = (first_user IS NOT NULL AND second_user IS NOT NULL)),
    CHECK ((kind = 'group') = (name IS NOT NULL AND name_key IS NOT NULL AND description IS NOT NULL AND visibility IS NOT NULL))
) WITH (fillfactor = 70); -- room for updates of the counter in place
CREATE UNIQUE INDEX conversations_pair ON conversations (first_user, second_user) WHERE first_user IS NOT NULL;
CREATE UNIQUE INDEX conversations_name_key ON conversations (name_key) WHERE name_key IS NOT NULL AND deleted_at IS NULL;
INSERT INTO conversations (id, kind, created_at, updated_at)
VALUES ('01900000-0000-7000-8000-000000000001', 'broadcast', 'epoch', 'epoch');

-- Who is in a conversation, and up to where each has seen everything. The two of a direct one are in it from its first
-- message on; in the broadcast one gets a row when one marks something.
CREATE TABLE members (
    conversation_id UUID   NOT NULL REFERENCES conversations (id),
    user_id         UUID   NOT NULL REFERENCES users (id),
    role            TEXT   NOT NULL CHECK (role IN ('member', 'admin', 'owner')),
    read_up_to      BIGINT NOT NULL DEFAULT 0, -- a seq: all up to it is seen, one's own or deleted
    joined_at       TIMESTAMPTZ NOT NULL,
    updated_at      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
);
CREATE INDEX members_by_user ON members (user_id, conversation_id);

CREATE TABLE files (
    id          UUID   NOT NULL PRIMARY KEY,
    uploader_id UUID   NOT NULL REFERENCES users (id),
    name        TEXT   NOT NULL,
    size        BIGINT NOT NULL,
    type        TEXT   NOT NULL,
    sha256      BYTEA   NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    deleted_at  TIMESTAMPTZ
);

CREATE TABLE messages (
    conversation_id UUID   NOT NULL REFERENCES conversations (id),
    seq             BIGINT NOT NULL,           -- the counter when it was sent
    id              UUID   NOT NULL,
    sender_id       UUID   NOT NULL REFERENCES users (id),
    type            TEXT   NOT NULL CHECK (type IN ('text', 'image', 'file')),
    content         TEXT   NOT NULL,           -- empty once deleted
    file_id         UUID REFERENCES files (id),
    reply_to        UUID,
    client_id       TEXT,                      -- the idempotency key
    sent_digest     BYTEA,                      -- SHA-256 of the content it was sent with, once that is no longer here
    created_at      TIMESTAMPTZ NOT NULL,
    updated_at      TIMESTAMPTZ NOT NULL,
    edited_at       TIMESTAMPTZ,
    deleted_at      TIMESTAMPTZ,
    "update"        BIGINT NOT NULL,           -- the counter at its last change
    revision        BIGINT NOT NULL,           -- of its last change, over all conversations: grows with "update"
    PRIMARY KEY (conversation_id, seq)
);
CREATE UNIQUE INDEX messages_id ON messages (id);
CREATE UNIQUE INDEX messages_client_id ON messages (sender_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX messages_file ON messages (file_id) WHERE file_id IS NOT NULL;
-- Only what changed after it was sent: for the rest, "update" is seq and the primary key serves. Fewer pages to
-- write for every message sent.
CREATE INDEX messages_changed ON messages (conversation_id, "update") WHERE "update" <> seq;

-- That a user saw, at that moment, everything in (from_seq, seq]: one message, or a stretch when reading up to a place.
-- Those of one user do not overlap.
CREATE TABLE receipts (
    conversation_id UUID   NOT NULL REFERENCES conversations (id),
    user_id         UUID   NOT NULL REFERENCES users (id),
    seq             BIGINT NOT NULL,
    from_seq        BIGINT NOT NULL CHECK (from_seq < seq),
    seen_at         TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (conversation_id, user_id, seq)
);

-- One row. Revisions go on from this number: one greater in a copy or a restored dump than where the rows were made.
CREATE TABLE server (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    starts BIGINT  NOT NULL
);
INSERT INTO server (id, starts) VALUES (1, 0);
