-- SHA-256 of the mentions with which a message was sent, if its sender gave some outright.
ALTER TABLE messages ADD COLUMN said_mentions BLOB;

-- Whom messages mention. The user of id 0 stands for all who were members at that moment.
CREATE TABLE mentions (
    user_id         BLOB NOT NULL,
    conversation_id BLOB NOT NULL REFERENCES conversations (id),
    seq             BIGINT NOT NULL,               -- of the message
    message_id      BLOB NOT NULL,
    nth             BIGINT NOT NULL,               -- its place among the mentions of the message
    revision        BIGINT NOT NULL,               -- of the transaction that made it
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (user_id, conversation_id, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX mentions_of_message ON mentions (message_id, nth);
CREATE INDEX mentions_of_user ON mentions (user_id, message_id);
