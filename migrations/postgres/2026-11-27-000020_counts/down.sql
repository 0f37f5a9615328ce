ALTER TABLE members DROP COLUMN marks;
ALTER TABLE conversations DROP COLUMN deletions;
