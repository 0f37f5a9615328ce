DROP TRIGGER images_changed ON files;
ALTER TABLE files DROP COLUMN sent_sha256;
ALTER TABLE files DROP COLUMN thumbhash;
ALTER TABLE files DROP COLUMN height;
ALTER TABLE files DROP COLUMN width;
