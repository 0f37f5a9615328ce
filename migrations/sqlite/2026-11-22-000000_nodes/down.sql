-- Nodes share a Postgres; a SQLite file has one server. Here so that both databases have the same migrations.
SELECT 1;
