-- Each database begins to count revisions somewhere else, so that a cursor of another one is told from its own.

ALTER TABLE server ADD COLUMN origin BIGINT NOT NULL DEFAULT 0;              -- a revision: it has handed out none below
UPDATE server SET starts = starts + floor(random() * 4194304)::bigint;       -- eras of 40 bits leave 22 for where to begin
UPDATE server SET origin = starts << 40;
