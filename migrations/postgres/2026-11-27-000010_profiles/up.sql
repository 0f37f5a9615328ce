-- Counts the changes of what messages show of their senders, so that a node knows whether a page that it has kept still
-- shows them as they are.
ALTER TABLE server ADD COLUMN profiles BIGINT NOT NULL DEFAULT 0;
-- A trigger, since it counts every change, whichever statement makes it.
CREATE FUNCTION count_profile_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE server SET profiles = profiles + 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER profiles_changed AFTER UPDATE OF username, display_name, deleted_at ON users FOR EACH ROW
WHEN (old.username IS DISTINCT FROM new.username OR old.display_name IS DISTINCT FROM new.display_name
    OR (old.deleted_at IS NULL) <> (new.deleted_at IS NULL))
EXECUTE FUNCTION count_profile_change();
