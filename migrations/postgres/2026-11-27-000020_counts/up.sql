-- What a node needs to know whether the unseen messages that it has counted are still the same: how many messages of
-- a conversation have been deleted, and how often a member has marked something as seen.
ALTER TABLE conversations ADD COLUMN deletions BIGINT NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN marks BIGINT NOT NULL DEFAULT 0;
