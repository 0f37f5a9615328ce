DROP TABLE group_usage;
