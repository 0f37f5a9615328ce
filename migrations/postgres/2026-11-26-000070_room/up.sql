-- How much the files of each user take, and when a server last believed its clock.

-- Changes in the transaction that stores a file or forgets it. A row of its own for each user: who locks it holds nothing else.
CREATE TABLE file_usage (
    user_id UUID   NOT NULL PRIMARY KEY REFERENCES users (id),
    bytes   BIGINT NOT NULL
);
INSERT INTO file_usage (user_id, bytes) SELECT uploader_id, sum(size) FROM files GROUP BY uploader_id;

ALTER TABLE server ADD COLUMN believed_at TIMESTAMPTZ; -- the clock, when it was last near what was known
