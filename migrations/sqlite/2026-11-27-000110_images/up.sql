-- What the server knows of an image, and the hash of what the client sent where the store left out metadata.
ALTER TABLE files ADD COLUMN width BIGINT;
ALTER TABLE files ADD COLUMN height BIGINT;
ALTER TABLE files ADD COLUMN thumbhash BLOB;
ALTER TABLE files ADD COLUMN sent_sha256 BLOB;
-- `parlance reindex` reads images of before. Kept pages of messages show what was known then.
CREATE TRIGGER images_changed AFTER UPDATE OF width ON files WHEN old.width IS NOT new.width
BEGIN
    UPDATE server SET profiles = profiles + 1;
END;
