DROP TABLE mentions;
ALTER TABLE messages DROP COLUMN said_mentions;
