-- For how many pauses between two upkeeps servers have run with a clock that they doubt, since one was last believed.
ALTER TABLE server ADD COLUMN doubts BIGINT NOT NULL DEFAULT 0;
