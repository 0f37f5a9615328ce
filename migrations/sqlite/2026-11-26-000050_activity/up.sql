-- By what the list of conversations is ordered: what was committed last, which no clock decides. Rows from before have only their
-- times to be ordered by: as negative numbers they stand behind every revision.

ALTER TABLE conversations ADD COLUMN sent_revision BIGINT NOT NULL DEFAULT 0; -- of the transaction that sent the newest message
ALTER TABLE conversations ADD COLUMN sent_nth BIGINT NOT NULL DEFAULT 0;      -- which message of that transaction it was
ALTER TABLE members ADD COLUMN joined_revision BIGINT NOT NULL DEFAULT 0;     -- of the transaction in which one joined
UPDATE conversations SET sent_revision = active_at - 4611686018427387904 WHERE active_at IS NOT NULL;
UPDATE members SET joined_revision = joined_at - 4611686018427387904;
