-- What is counted against quotas, who is told of whom, and what is still to be removed of accounts and groups that have ended.

-- Of a group: who made one a member, possibly oneself. Of memberships from before it is not known any more.
ALTER TABLE members ADD COLUMN added_by BLOB;
UPDATE members SET added_by = user_id WHERE conversation_id IN (SELECT id FROM conversations WHERE kind = 'group');
CREATE INDEX members_added ON members (added_by, user_id) WHERE added_by IS NOT NULL;
CREATE INDEX members_of_groups ON members (user_id, added_by) WHERE added_by IS NOT NULL;
-- The heir of a group is found without looking at all its members.
CREATE INDEX members_by_age ON members (conversation_id, role, joined_at, user_id) WHERE added_by IS NOT NULL;

-- Who made a group, for as long as one owns it.
ALTER TABLE conversations ADD COLUMN made_by BLOB;
UPDATE conversations SET made_by = (
    SELECT user_id FROM members WHERE members.conversation_id = conversations.id AND members.role = 'owner'
) WHERE kind = 'group' AND deleted_at IS NULL;
CREATE INDEX conversations_made ON conversations (made_by) WHERE made_by IS NOT NULL AND deleted_at IS NULL;

-- Who of a direct conversation's two has written in it, be it deleted since: 1 the first, 2 the second, 3 both.
ALTER TABLE conversations ADD COLUMN written_by BIGINT NOT NULL DEFAULT 0;
UPDATE conversations SET written_by =
    CASE WHEN EXISTS (SELECT 1 FROM messages WHERE conversation_id = conversations.id AND sender_id = conversations.first_user)
        THEN 1 ELSE 0 END
    + CASE WHEN EXISTS (SELECT 1 FROM messages WHERE conversation_id = conversations.id AND sender_id = conversations.second_user)
        THEN 2 ELSE 0 END
WHERE kind = 'direct';

-- Accounts and groups that have ended and may have memberships left, which are removed a few at a time.
CREATE TABLE endings (
    id       BLOB    NOT NULL PRIMARY KEY, -- of a user or a group
    kind     TEXT    NOT NULL CHECK (kind IN ('account', 'group')),
    revision BIGINT  NOT NULL -- of the transaction in which it ended
) WITHOUT ROWID;
