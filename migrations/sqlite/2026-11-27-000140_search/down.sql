DROP INDEX messages_revision;
DROP TABLE followers;
