-- The list of groups: the public ones by name, without walking past the private ones.
CREATE INDEX conversations_listed ON conversations (visibility, name_key, id) WHERE name_key IS NOT NULL AND deleted_at IS NULL;
