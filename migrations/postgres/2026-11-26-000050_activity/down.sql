ALTER TABLE members DROP COLUMN joined_revision;
ALTER TABLE conversations DROP COLUMN sent_nth;
ALTER TABLE conversations DROP COLUMN sent_revision;
