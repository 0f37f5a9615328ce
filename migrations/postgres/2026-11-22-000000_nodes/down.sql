DROP INDEX conversations_roster;
DROP INDEX messages_revision;
