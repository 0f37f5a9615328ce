ALTER TABLE server DROP COLUMN digest_form;
ALTER TABLE conversations DROP COLUMN message_count;
ALTER TABLE conversations DROP COLUMN digest;
