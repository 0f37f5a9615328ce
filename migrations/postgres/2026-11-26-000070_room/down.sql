ALTER TABLE server DROP COLUMN believed_at;
DROP TABLE file_usage;
