DROP INDEX conversations_listed;
