-- What counts against the quotas of groups, so that nobody has to count it. Changes in the transaction that changes what it counts.

CREATE TABLE group_usage (
    user_id BLOB   NOT NULL PRIMARY KEY REFERENCES users (id),
    made            BIGINT NOT NULL, -- living groups that one made and still owns
    joined          BIGINT NOT NULL, -- memberships of one's own accord
    added           BIGINT NOT NULL, -- memberships of others that one has made
    added_by_others BIGINT NOT NULL  -- memberships that others have made of one
) WITHOUT ROWID;
INSERT INTO group_usage (user_id, made, joined, added, added_by_others)
SELECT id,
    (SELECT count(*) FROM conversations WHERE made_by = users.id AND deleted_at IS NULL),
    (SELECT count(*) FROM members WHERE user_id = users.id AND added_by = users.id),
    (SELECT count(*) FROM members WHERE added_by = users.id AND user_id <> users.id),
    (SELECT count(*) FROM members WHERE user_id = users.id AND added_by IS NOT NULL AND added_by <> users.id)
FROM users
WHERE EXISTS (SELECT 1 FROM members WHERE user_id = users.id AND added_by IS NOT NULL)
    OR EXISTS (SELECT 1 FROM members WHERE added_by = users.id)
    OR EXISTS (SELECT 1 FROM conversations WHERE made_by = users.id AND deleted_at IS NULL);
