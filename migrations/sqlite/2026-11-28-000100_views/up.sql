-- What a conversation is to one user: settings, and where the user stands.
ALTER TABLE members ADD COLUMN muted_until BIGINT;        -- NULL: not muted; the end of the year 9999: for ever
ALTER TABLE members ADD COLUMN notify TEXT NOT NULL DEFAULT 'all' CHECK (notify IN ('all', 'mentions', 'none'));
ALTER TABLE members ADD COLUMN favourite BIGINT NOT NULL DEFAULT 0 CHECK (favourite IN (0, 1));
ALTER TABLE members ADD COLUMN archived_at_seq BIGINT;     -- the newest message when the user archived it; NULL: never
ALTER TABLE members ADD COLUMN hidden BIGINT NOT NULL DEFAULT 0 CHECK (hidden IN (0, 1)); -- 1: not listed until it has a message
ALTER TABLE members ADD COLUMN joined_seq BIGINT;          -- nothing up to this seq was ever unseen; NULL: not known
ALTER TABLE members ADD COLUMN view_revision BIGINT NOT NULL DEFAULT 0; -- of the last change of settings, draft or unread marks
UPDATE members SET joined_seq = 0 WHERE added_by IS NULL;
-- Who may have to be told that a message brings a conversation back.
CREATE INDEX members_archived ON members (conversation_id, user_id) WHERE archived_at_seq IS NOT NULL;

-- A message from this time on may bring the conversation back for a member who has archived it; NULL: for nobody.
ALTER TABLE conversations ADD COLUMN archived_until BIGINT;
-- The newest message that somebody has marked as seen, who that was, and the newest that another user has.
ALTER TABLE conversations ADD COLUMN seen_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN seen_by BLOB;
ALTER TABLE conversations ADD COLUMN seen_seq_of_others BIGINT NOT NULL DEFAULT 0;
UPDATE conversations SET seen_seq = latest.seq, seen_by = latest.user_id, seen_seq_of_others = latest.of_others
FROM (
    SELECT conversation_id, user_id, seq, nth, coalesce(lead(seq) OVER (PARTITION BY conversation_id ORDER BY nth), 0) AS of_others
    FROM (
        SELECT conversation_id, user_id, max(seq) AS seq,
               row_number() OVER (PARTITION BY conversation_id ORDER BY max(seq) DESC, user_id) AS nth
        FROM receipts GROUP BY conversation_id, user_id
    ) readers
) latest
WHERE latest.conversation_id = conversations.id AND latest.nth = 1;

-- 1: the user has marked the messages that it covers as unread since. Others still see what the user had seen.
ALTER TABLE receipts ADD COLUMN undone BIGINT NOT NULL DEFAULT 0 CHECK (undone IN (0, 1));

-- What a user has begun to write. The end of the membership takes it along.
CREATE TABLE drafts (
    conversation_id BLOB NOT NULL,
    user_id         BLOB NOT NULL,
    content         TEXT NOT NULL,
    reply_to        BLOB,
    thread_id       BLOB,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, user_id),
    FOREIGN KEY (conversation_id, user_id) REFERENCES members (conversation_id, user_id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX drafts_of_user ON drafts (user_id, conversation_id);
