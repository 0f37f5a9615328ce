-- A node that missed another's word finds what happened by the revision (NodeReader::changed). It only grows, so that new
-- entries go to the index's last page. On conversations, only the roster's is indexed: an index on `revision`, which every
-- message moves, would cost every message a HOT update.
CREATE INDEX messages_revision ON messages (revision);
CREATE INDEX conversations_roster ON conversations (roster_revision);
