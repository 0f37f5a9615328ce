DROP TRIGGER profiles_changed ON users;
DROP FUNCTION count_profile_change();
ALTER TABLE server DROP COLUMN profiles;
