DROP TABLE audit;
DROP INDEX conversations_rooms;
DROP INDEX files_uploader;
DROP INDEX files_created_at;
ALTER TABLE conversations DROP COLUMN expired_up_to;
DROP INDEX sessions_last_seen;
ALTER TABLE users DROP COLUMN disabled_at;
