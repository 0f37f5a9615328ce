//! Who talks to whom in the databases of the table, and the SQL that makes them.
//!
//! - 50 *readers*, each in 10 groups of ten and in two direct conversations. The messages that the database is to hold
//!   are spread evenly over these 100 conversations. Each reader has seen all but the last few of each.
//! - 50 readers with a *backlog*: 12 groups with 834 messages each, of which they have seen none.
//! - 256 *senders*, each with four direct conversations, and 64 groups of the first 64 of them.
//!
//! Ids follow from numbers, so that nobody has to ask the database for them.

use crate::deployment::Backend;
use std::fmt::Write as _;

pub const READERS: u64 = 50;
const GROUPS: u64 = 50;
/// Every reader is in one of so many groups.
const EVERY: u64 = 5;
/// The readers' conversations: groups, and a direct one of each with the next.
pub const READ: u64 = GROUPS + READERS;
pub const BACKLOGGED: u64 = 50;
const BACKLOGS: u64 = 12;
/// Together ten thousand.
const BACKLOG: u64 = 834;
pub const SENDERS: u64 = 256;
/// Each sender begins a direct conversation with so many others, and is in as many that others began.
const BEGUN: u64 = 2;
pub const SPREAD: u64 = 64;
/// The members of a group that is sent to.
pub const SPREAD_MEMBERS: u64 = 64;

/// In milliseconds since the epoch, and older than whatever a server makes itself.
const FIRST_ID: u64 = 0x018f_0000_0000;
/// Messages that every database has besides those that were asked for.
const BESIDES: u64 = BACKLOGS * BACKLOG + SENDERS * BEGUN + SPREAD;

/// A word of every tenth message, and one of none.
pub const TENTH: &str = "marmalade";
pub const NOWHERE: &str = "zeppelin";

const TEXT: &str = "What people write to each other is short more often than not, and now and then it is not so short.";

/// What an id is of.
#[derive(Clone, Copy)]
pub enum Kind {
    User = 1,
    Conversation = 2,
    Session = 3,
    Message = 4,
}

/// The id of the `n`th; messages have one millisecond each, as UUIDs of version 7 want it.
pub fn id(kind: Kind, n: u64) -> String {
    let time = if matches!(kind, Kind::Message) { FIRST_ID + n } else { FIRST_ID };
    format!("{:08x}-{:04x}-7000-800{}-{n:012x}", time >> 16, time & 0xffff, kind as u8)
}

/// The number of a user of the population.
pub fn backlogged(n: u64) -> u64 {
    READERS + n
}

/// The number of a sender among all users.
pub fn sender(n: u64) -> u64 {
    READERS + BACKLOGGED + n
}

/// How many users there are.
pub const USERS: u64 = READERS + BACKLOGGED + SENDERS;

/// A user's name.
pub fn name(user: u64) -> String {
    match user {
        0..READERS => format!("reader{user}"),
        _ if user < READERS + BACKLOGGED => format!("backlog{}", user - READERS),
        _ => format!("sender{}", user - READERS - BACKLOGGED),
    }
}

/// The conversations of a reader: groups, and the two direct ones with who is on the other side.
pub fn conversations_of(reader: u64) -> Vec<(u64, Option<u64>)> {
    let groups = (0..GROUPS).filter(|group| group % EVERY == reader % EVERY).map(|group| (group, None));
    let (next, last) = ((reader + 1) % READERS, (reader + READERS - 1) % READERS);
    groups.chain([(GROUPS + reader, Some(next)), (GROUPS + last, Some(last))]).collect()
}

/// Whom a sender writes to: two that it began with, and two that began with it.
pub fn partners(n: u64) -> Vec<u64> {
    (1..=BEGUN).flat_map(|by| [(n + by) % SENDERS, (n + SENDERS - by) % SENDERS]).collect()
}

/// The number of the message in the first conversation that a sender began.
pub fn begun_by(n: u64) -> u64 {
    BACKLOGS * BACKLOG + n * BEGUN
}

/// The number of a group that is sent to, among all conversations.
pub fn spread(n: u64) -> u64 {
    READ + BACKLOGS + SENDERS * BEGUN + n
}

/// How many messages one of the readers' conversations has.
pub fn length(messages: u64, conversation: u64) -> u64 {
    messages / READ + u64::from(conversation < messages % READ)
}

/// The number of a message of one of the readers' conversations.
pub fn message(conversation: u64, seq: u64) -> u64 {
    BESIDES + (seq - 1) * READ + conversation
}

/// What the two databases write differently.
struct Dialect(Backend);

impl Dialect {
    /// A known id.
    fn id(&self, kind: Kind, n: u64) -> String {
        match self.0 {
            Backend::Sqlite => format!("x'{}'", id(kind, n).replace('-', "")),
            Backend::Postgres => format!("'{}'", id(kind, n)),
        }
    }

    /// The id of what an expression counts.
    fn id_of(&self, kind: Kind, n: &str) -> String {
        let time = if matches!(kind, Kind::Message) { format!("{FIRST_ID} + {n}") } else { FIRST_ID.to_string() };
        let middle = format!("7000800{}", kind as u8);
        match self.0 {
            Backend::Sqlite => format!("unhex(printf('%012x{middle}%012x', {time}, {n}))"),
            Backend::Postgres => format!(
                "(lpad(to_hex(({time})::bigint), 12, '0') || '{middle}' || lpad(to_hex(({n})::bigint), 12, '0'))::uuid"
            ),
        }
    }

    /// A time, of microseconds since the epoch.
    fn time(&self, micros: &str) -> String {
        match self.0 {
            Backend::Sqlite => micros.to_owned(),
            Backend::Postgres => format!("'epoch'::timestamptz + ({micros}) * interval '1 microsecond'"),
        }
    }

    /// Rows of one column `n`.
    fn series(&self, from: u64, to: u64) -> String {
        match self.0 {
            Backend::Sqlite => format!(
                "(WITH RECURSIVE series(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM series WHERE n + 1 < {to}) \
                 SELECT n FROM series) series"
            ),
            Backend::Postgres => format!("generate_series({from}::bigint, {to}::bigint - 1) AS series(n)"),
        }
    }

    /// `INSERT` of messages: a row for each number, by expressions over `n` (of all messages) and `i` (of these).
    fn messages(&self, from: u64, count: u64, conversation: &str, seq: &str, sender: &str, begun: u64) -> String {
        if count == 0 {
            return String::new();
        }
        let time = self.time(&format!("{begun} + n * 1000000"));
        format!(
            "INSERT INTO messages (conversation_id, seq, id, sender_id, type, content, created_at, updated_at, \
             \"update\", revision) SELECT {conversation}, seq, {id}, {sender}, 'text', \
             'Message ' || n || '. ' || substr('{TEXT}', 1, CAST(20 + n * 7 % 80 AS INTEGER)) || \
             CASE WHEN n % 10 = 0 THEN ' {TENTH}' ELSE '' END, {time}, {time}, seq, \
             (SELECT origin FROM server) + 1 + n \
             FROM (SELECT n, n - {from} AS i, {seq} AS seq FROM {series}) numbers;\n",
            conversation = self.id_of(Kind::Conversation, conversation),
            id = self.id_of(Kind::Message, "n"),
            sender = self.id_of(Kind::User, sender),
            series = self.series(from, from + count),
        )
    }
}

/// One conversation with what its row has to say.
struct Conversation {
    number: u64,
    /// Of a group the owner first; of a direct conversation both.
    members: Vec<u64>,
    direct: bool,
    messages: u64,
    /// The number of the newest message.
    newest: u64,
    /// Of a direct one: who has written, 1 the first, 2 the second, 3 both.
    written_by: u64,
}

fn conversations(messages: u64) -> Vec<Conversation> {
    let group = |number, members, messages, newest| Conversation {
        number,
        members,
        direct: false,
        messages,
        newest,
        written_by: 0,
    };
    let mut all = Vec::new();
    for number in 0..READ {
        let length = length(messages, number);
        let newest = if length > 0 { message(number, length) } else { 0 };
        if number < GROUPS {
            let members = (0..READERS).filter(|reader| reader % EVERY == number % EVERY).collect();
            all.push(group(number, members, length, newest));
        } else {
            let first = number - GROUPS;
            let members = vec![first, (first + 1) % READERS];
            all.push(Conversation { number, members, direct: true, messages: length, newest, written_by: 3 });
        }
    }
    for n in 0..BACKLOGS {
        let members = [sender(0)].into_iter().chain((0..BACKLOGGED).map(backlogged)).collect();
        all.push(group(READ + n, members, BACKLOG, (BACKLOG - 1) * BACKLOGS + n));
    }
    for n in 0..SENDERS * BEGUN {
        let (first, second) = (n / BEGUN, (n / BEGUN + 1 + n % BEGUN) % SENDERS);
        all.push(Conversation {
            number: READ + BACKLOGS + n,
            members: vec![sender(first), sender(second)],
            direct: true,
            messages: 1,
            newest: BACKLOGS * BACKLOG + n,
            written_by: if first < second { 1 } else { 2 },
        });
    }
    for n in 0..SPREAD {
        let others = (0..SPREAD_MEMBERS).filter(|member| *member != n);
        let members = [n].into_iter().chain(others).map(sender).collect();
        all.push(group(spread(n), members, 1, BACKLOGS * BACKLOG + SENDERS * BEGUN + n));
    }
    all
}

/// How far a reader has read: a few are left in each conversation, of the backlog all.
fn read_up_to(user: u64, conversation: &Conversation) -> u64 {
    match user {
        0..READERS => conversation.messages.saturating_sub((user * 7 + conversation.number * 3) % 11),
        _ if user < READERS + BACKLOGGED => 0,
        _ => conversation.messages,
    }
}

/// Makes users, conversations and messages in an empty database; `now` in microseconds.
pub fn fill(backend: Backend, messages: u64, now: u64) -> String {
    let sql = Dialect(backend);
    // A message a second, until a moment ago.
    let begun = now - (BESIDES + messages + 600) * 1_000_000;
    let mut text = users(&sql, (0..USERS).map(|user| (user, name(user))), begun);
    let (mut rooms, mut seats, mut receipts) = (Vec::new(), Vec::new(), Vec::new());
    let at = sql.time(&begun.to_string());
    for conversation in conversations(messages) {
        rooms.push(room(&sql, &conversation, begun));
        let of = sql.id(Kind::Conversation, conversation.number);
        let owner = if conversation.direct { "NULL".to_owned() } else { sql.id(Kind::User, conversation.members[0]) };
        for (place, user) in conversation.members.iter().enumerate() {
            let (read, id) = (read_up_to(*user, &conversation), sql.id(Kind::User, *user));
            let role = if place == 0 && !conversation.direct { "owner" } else { "member" };
            seats.push(format!("({of}, {id}, '{role}', {read}, {at}, {at}, (SELECT origin FROM server), {owner})"));
            if read > 0 {
                receipts.push(format!("({of}, {id}, {read}, 0, {at})"));
            }
        }
    }
    insert(
        &mut text,
        "conversations (id, kind, \"update\", last_seq, active_at, first_user, second_user, name, name_key, description, \
         visibility, member_count, revision, created_at, updated_at, sent_revision, made_by, written_by)",
        &rooms,
    );
    insert(
        &mut text,
        "members (conversation_id, user_id, role, read_up_to, joined_at, updated_at, joined_revision, added_by)",
        &seats,
    );
    insert(&mut text, "receipts (conversation_id, user_id, seq, from_seq, seen_at)", &receipts);
    let backlogs = BACKLOGS * BACKLOG;
    let (first, members) = (sender(0), READERS / EVERY);
    text += &sql.messages(
        0,
        backlogs,
        &format!("({READ} + i % {BACKLOGS})"),
        &format!("n / {BACKLOGS} + 1"),
        &first.to_string(),
        begun,
    );
    let directs = SENDERS * BEGUN;
    let number = format!("({READ} + {BACKLOGS} + i)");
    text += &sql.messages(backlogs, directs, &number, "1", &format!("({first} + i / {BEGUN})"), begun);
    let number = format!("({READ} + {BACKLOGS} + {directs} + i)");
    text += &sql.messages(backlogs + directs, SPREAD, &number, "1", &format!("({first} + i)"), begun);
    // In a group its members take turns, in a direct conversation the two.
    let turns = format!(
        "(CASE WHEN i % {READ} < {GROUPS} THEN i % {EVERY} + {EVERY} * (i / {READ} % {members}) \
         ELSE (i % {READ} - {GROUPS} + i / {READ} % 2) % {READERS} END)"
    );
    let seq = format!("(n - {BESIDES}) / {READ} + 1");
    text += &sql.messages(BESIDES, messages, &format!("(i % {READ})"), &seq, &turns, begun);
    text += COUNTED;
    text
}

/// What counts against quotas, as the migration that made the table counts it.
const COUNTED: &str = "INSERT INTO group_usage (user_id, made, joined, added, added_by_others) SELECT id,
    (SELECT count(*) FROM conversations WHERE made_by = users.id AND deleted_at IS NULL),
    (SELECT count(*) FROM members WHERE user_id = users.id AND added_by = users.id),
    (SELECT count(*) FROM members WHERE added_by = users.id AND user_id <> users.id),
    (SELECT count(*) FROM members WHERE user_id = users.id AND added_by IS NOT NULL AND added_by <> users.id)
FROM users;\n";

fn users(sql: &Dialect, users: impl Iterator<Item = (u64, String)>, begun: u64) -> String {
    let at = sql.time(&begun.to_string());
    let rows: Vec<String> =
        users.map(|(n, name)| format!("({}, '{name}', '{name}', {at}, {at})", sql.id(Kind::User, n))).collect();
    let mut text = String::new();
    insert(&mut text, "users (id, username, username_key, created_at, updated_at)", &rows);
    text
}

fn room(sql: &Dialect, conversation: &Conversation, begun: u64) -> String {
    let Conversation { number, members, direct, messages, newest, written_by } = conversation;
    let id = sql.id(Kind::Conversation, *number);
    let at = sql.time(&begun.to_string());
    let (active, revision) = if *messages > 0 {
        (sql.time(&(begun + newest * 1_000_000).to_string()), format!("(SELECT origin FROM server) + 1 + {newest}"))
    } else {
        ("NULL".to_owned(), "0".to_owned())
    };
    if *direct {
        let (first, second) = (members[0].min(members[1]), members[0].max(members[1]));
        let (first, second) = (sql.id(Kind::User, first), sql.id(Kind::User, second));
        return format!(
            "({id}, 'direct', {messages}, {messages}, {active}, {first}, {second}, NULL, NULL, NULL, NULL, 0, \
             {revision}, {at}, {at}, {revision}, NULL, {written_by})"
        );
    }
    let (owner, count) = (sql.id(Kind::User, members[0]), members.len());
    format!(
        "({id}, 'group', {messages}, {messages}, {active}, NULL, NULL, 'group{number}', 'group{number}', '', 'private', \
         {count}, {revision}, {at}, {at}, {revision}, {owner}, 0)"
    )
}

/// Some hundred rows a statement.
fn insert(text: &mut String, into: &str, rows: &[String]) {
    for rows in rows.chunks(500) {
        // Writing to a String does not fail.
        let _ = writeln!(text, "INSERT INTO {into} VALUES {};", rows.join(",\n"));
    }
}

/// Users of an otherwise empty database, and one group of the first `members` of them.
pub fn crowd(backend: Backend, count: u64, members: u64, now: u64) -> String {
    let sql = Dialect(backend);
    let mut text = users(&sql, (0..count).map(|user| (user, format!("user{user}"))), now);
    if members == 0 {
        return text;
    }
    let group = Conversation {
        number: 0,
        members: (0..members).collect(),
        direct: false,
        messages: 0,
        newest: 0,
        written_by: 0,
    };
    insert(
        &mut text,
        "conversations (id, kind, \"update\", last_seq, active_at, first_user, second_user, name, name_key, description, \
         visibility, member_count, revision, created_at, updated_at, sent_revision, made_by, written_by)",
        &[room(&sql, &group, now)],
    );
    let (of, owner, at) = (sql.id(Kind::Conversation, 0), sql.id(Kind::User, 0), sql.time(&now.to_string()));
    let seat = |user: u64| {
        let role = if user == 0 { "owner" } else { "member" };
        let id = sql.id(Kind::User, user);
        format!("({of}, {id}, '{role}', 0, {at}, {at}, (SELECT origin FROM server), {owner})")
    };
    insert(
        &mut text,
        "members (conversation_id, user_id, role, read_up_to, joined_at, updated_at, joined_revision, added_by)",
        &(0..members).map(seat).collect::<Vec<_>>(),
    );
    text + COUNTED
}

/// Logs the first users in, and nobody else.
pub fn sessions(backend: Backend, users: u64, now: u64) -> String {
    let sql = Dialect(backend);
    let at = sql.time(&now.to_string());
    let session = |n| format!("({}, {}, {at}, {at})", sql.id(Kind::Session, n), sql.id(Kind::User, n));
    let mut text = "DELETE FROM sessions;\n".to_owned();
    let rows: Vec<String> = (0..users).map(session).collect();
    insert(&mut text, "sessions (id, user_id, created_at, last_seen_at)", &rows);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_reader_has_twelve_conversations_and_is_in_them() {
        let all = conversations(10_000);
        for reader in 0..READERS {
            let own: BTreeSet<u64> = conversations_of(reader).iter().map(|(number, _)| *number).collect();
            let inside: BTreeSet<u64> =
                all.iter().filter(|other| other.members.contains(&reader)).map(|other| other.number).collect();
            assert_eq!((own.len(), &own), (12, &inside), "{reader}");
        }
    }

    #[test]
    fn senders_write_in_conversations_that_are_there() {
        let pairs: BTreeSet<(u64, u64)> = conversations(0)
            .iter()
            .filter(|other| other.direct)
            .map(|other| (other.members[0].min(other.members[1]), other.members[0].max(other.members[1])))
            .collect();
        for n in 0..SENDERS {
            for partner in partners(n) {
                let (one, other) = (sender(n), sender(partner));
                assert!(pairs.contains(&(one.min(other), one.max(other))), "{n} to {partner}");
            }
        }
    }

    #[test]
    fn messages_are_spread_evenly_and_numbered_without_a_gap() {
        for messages in [0, 7, 100, 10_001] {
            assert_eq!((0..READ).map(|number| length(messages, number)).sum::<u64>(), messages);
        }
        let mut numbers: Vec<u64> =
            (0..READ).flat_map(|of| (1..=length(250, of)).map(move |seq| message(of, seq))).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (BESIDES..BESIDES + 250).collect::<Vec<_>>());
    }

    #[test]
    fn ids_are_uuids_of_version_7() {
        assert_eq!(id(Kind::User, 3), "018f0000-0000-7000-8001-000000000003");
        assert_eq!(id(Kind::Message, 0x1_0001), "018f0001-0001-7000-8004-000000010001");
    }
}
