-- What the server knows of an image, and the hash of what the client sent where the store left out metadata.
ALTER TABLE files ADD COLUMN width BIGINT;
ALTER TABLE files ADD COLUMN height BIGINT;
ALTER TABLE files ADD COLUMN thumbhash BYTEA;
ALTER TABLE files ADD COLUMN sent_sha256 BYTEA;
-- `parlance reindex` reads images of before. Kept pages of messages show what was known then.
CREATE TRIGGER images_changed AFTER UPDATE OF width ON files FOR EACH ROW
WHEN (old.width IS DISTINCT FROM new.width) EXECUTE FUNCTION count_profile_change();
