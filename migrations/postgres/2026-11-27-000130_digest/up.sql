-- How a client knows that it has all of a conversation: the sum of the hashes of its messages, at its counter, and how
-- many messages were ever sent in it.
ALTER TABLE conversations ADD COLUMN digest BYTEA NOT NULL DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000';
ALTER TABLE conversations ADD COLUMN message_count BIGINT NOT NULL DEFAULT 0;

-- The database cannot compute the sum. The program does, before it serves: an empty digest is one that is still to be made.
UPDATE conversations SET digest = '' WHERE last_seq > 0;
ALTER TABLE server ADD COLUMN digest_form BIGINT NOT NULL DEFAULT 0; -- 1 once all of them are made
