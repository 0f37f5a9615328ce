-- The form that keys of names (username_key, email_key, name_key) are in. No dialect can normalize text: the program makes the
-- keys anew, right after its migrations, where this is another number than its own.

ALTER TABLE server ADD COLUMN name_form BIGINT NOT NULL DEFAULT 0;
