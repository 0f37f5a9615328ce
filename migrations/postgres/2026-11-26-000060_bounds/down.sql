DROP TABLE endings;
ALTER TABLE conversations DROP COLUMN written_by;
DROP INDEX conversations_made;
ALTER TABLE conversations DROP COLUMN made_by;
DROP INDEX members_by_age;
DROP INDEX members_of_groups;
DROP INDEX members_added;
ALTER TABLE members DROP COLUMN added_by;
