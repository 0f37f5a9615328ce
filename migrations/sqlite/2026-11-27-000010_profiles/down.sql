DROP TRIGGER profiles_changed;
ALTER TABLE server DROP COLUMN profiles;
