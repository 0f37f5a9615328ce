-- Counts the changes of what messages show of their senders, so that a node knows whether a page that it has kept still
-- shows them as they are.
ALTER TABLE server ADD COLUMN profiles BIGINT NOT NULL DEFAULT 0;
-- A trigger, since it counts every change, whichever statement makes it.
CREATE TRIGGER profiles_changed AFTER UPDATE OF username, display_name, deleted_at ON users
WHEN old.username IS NOT new.username OR old.display_name IS NOT new.display_name
    OR (old.deleted_at IS NULL) <> (new.deleted_at IS NULL)
BEGIN
    UPDATE server SET profiles = profiles + 1;
END;
