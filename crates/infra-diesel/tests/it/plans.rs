//! What the ports ask of the databases uses their indexes: no statement walks over a table that grows.
//!
//! The statements are not written down here: the ports are called, and what their connections execute is listened to.

use crate::append::a_file;
use crate::parts::use_all_parts;
use crate::world::{Raw, World, limit, now, text};
use diesel::connection::{Instrumentation, InstrumentationEvent, SimpleConnection, set_default_instrumentation};
use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use domain::admin::{Actor, AdminCommand, AdminRepository};
use domain::api_tokens::{ApiToken, ApiTokenRepository, TokenName};
use domain::conversations::{ConversationCursor, ConversationFilter, ConversationRepository};
use domain::export::ExportReader;
use domain::files::FileRepository;
use domain::groups::{GroupChange, GroupName, GroupNamePrefix, GroupRepository, MemberRepository, Role, Visibility};
use domain::live::LiveReader;
use domain::messages::{
    Attachment, AttachmentKind, Caption, Content, Cursor, IdempotencyKey, MessageLog, MessageReader, NewBody,
    NewMessage, Recipient, Update, Window,
};
use domain::receipts::ReceiptRepository;
use domain::retention::RetentionRepository;
use domain::sessions::{Generation, RefreshClaims, SecretHash, Session, SessionRepository};
use domain::users::{Change, Email, ProfileChange, UserRepository, Username, UsernamePrefix};
use domain::{ConversationId, SessionId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock};
use test_support::{Backend, TestDb};

on_both!(
    no_statement_of_a_port_walks_over_a_table,
    groups_are_listed_past_nobody_elses,
    messages_are_looked_for_behind_what_has_expired,
);

/// Statements by the URL of the connection that executed them, for the databases that are listened to.
static HEARD: Mutex<BTreeMap<String, BTreeSet<String>>> = Mutex::new(BTreeMap::new());

/// Listens to one connection.
struct Listener {
    url: String,
}

impl Instrumentation for Listener {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => self.url = without_query(url).to_owned(),
            InstrumentationEvent::StartQuery { query, .. } => {
                if let Some(heard) = HEARD.lock().unwrap().get_mut(&self.url) {
                    let query = query.to_string();
                    let sql = query.rsplit_once(" -- binds: ").map_or(&*query, |(sql, _)| sql);
                    heard.insert(sql.split_whitespace().collect::<Vec<_>>().join(" "));
                }
            }
            _ => {}
        }
    }
}

/// Begins to listen to all connections to the database that are opened from now on.
pub fn listen(db: &TestDb) {
    static LISTENING: OnceLock<()> = OnceLock::new();
    LISTENING.get_or_init(|| {
        set_default_instrumentation(|| Some(Box::new(Listener { url: String::new() }))).unwrap();
    });
    HEARD.lock().unwrap().insert(url_of(db).to_owned(), BTreeSet::new());
}

/// As a connection knows it.
fn url_of(db: &TestDb) -> &str {
    without_query(db.url().strip_prefix("sqlite://").unwrap_or(db.url()))
}

/// The store adds parameters of its own to a URL.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

/// What was heard, or what was heard since it was last asked.
pub fn heard(db: &TestDb) -> Vec<String> {
    let heard = std::mem::take(HEARD.lock().unwrap().get_mut(url_of(db)).unwrap());
    heard.into_iter().collect()
}

#[derive(QueryableByName)]
struct SqliteStep {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct PostgresStep {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    line: String,
}

/// How the database goes about a statement, step by step.
pub fn plan(conn: &mut Raw, sql: &str) -> Vec<String> {
    match conn {
        Raw::Sqlite(conn) => {
            let steps: Vec<SqliteStep> = sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(conn).unwrap();
            steps.into_iter().map(|step| step.detail).collect()
        }
        Raw::Postgres(conn) => {
            // As prepared once for all values.
            let parameters = (1..).take_while(|n| sql.contains(&format!("${n}"))).count();
            // Postgres can't tell the types of what is only unnested.
            let types = match sql {
                _ if sql.contains(") AS asked(") => "(uuid[], uuid[])",
                _ if sql.contains("WITH counted AS") => {
                    "(bigint, uuid[], bigint[], bigint[], timestamptz[], bigint[], bigint[], bytea[], bigint[], bigint, \
                     uuid[], bigint[], uuid[], uuid[], text[], text[], uuid[], uuid[], text[], timestamptz[], uuid[], uuid[], \
                     uuid[], timestamptz[], bigint[], bytea[])"
                }
                _ if sql.contains(") AS new(id, counter") => {
                    "(bigint, uuid[], bigint[], bigint[], timestamptz[], bigint[], bigint[], bytea[], bigint[])"
                }
                _ => "",
            };
            conn.batch_execute(&format!("DEALLOCATE ALL; PREPARE asked{types} AS {sql}")).unwrap();
            let nulls = vec!["NULL"; parameters].join(", ");
            let nulls = if parameters == 0 { String::new() } else { format!("({nulls})") };
            let steps: Vec<PostgresStep> =
                sql_query(format!("EXPLAIN (COSTS OFF) EXECUTE asked{nulls}")).load(conn).unwrap();
            steps.into_iter().map(|step| step.line).collect()
        }
    }
}

/// Tables that grow with use: all that a copy holds. `server` has one row.
const GROWING: &[&str] = infra_diesel::copy::TABLES;

/// The step of the plan that walks over a growing table, if there is one. A walk along an index is one too, unless the
/// statement takes its first rows only.
fn walk<'p>(plan: &'p [String], sql: &str) -> Option<&'p String> {
    let limited = sql.contains(" LIMIT ");
    let sorted = plan.iter().any(|step| step.contains("USE TEMP B-TREE FOR ORDER BY"));
    let walks = |index: usize| {
        let step = plan[index].trim().trim_start_matches("->").trim();
        if let Some(of) = step.strip_prefix("SCAN ") {
            let along_an_index = of.contains(" USING ") && limited && !sorted;
            return is_growing(of, sql) && !along_an_index;
        }
        let Some((how, of)) = step.split_once(" on ") else { return false };
        let sought = plan.get(index + 1).is_some_and(|detail| detail.trim().starts_with("Index Cond:"));
        let along_an_index = how.starts_with("Index ") && (sought || limited) || how == "Bitmap Heap Scan";
        how.contains("Scan") && is_growing(of, sql) && !along_an_index
    };
    (0..plan.len()).find(|index| walks(*index)).map(|index| &plan[index])
}

/// Whether what a step names, a table or an alias, is a growing table.
fn is_growing(step: &str, sql: &str) -> bool {
    let named = step.split_whitespace().next().unwrap_or_default();
    let sql = sql.replace(['`', '"'], "");
    let aliased =
        |table: &&str| sql.contains(&format!(" {table} {named}")) || sql.contains(&format!(" {table} AS {named}"));
    GROWING.contains(&named) || GROWING.iter().any(aliased)
}

/// Calls every port so that every statement is executed at least once.
async fn use_everything(world: &World) {
    let (ada, bob, eve) = (
        world.create_user("ada", Some("a@example.org")).await.unwrap().id,
        world.user("bob").await,
        world.user("eve").await,
    );
    let beginning = domain::events::Revision(world.raw().number("SELECT origin FROM server"));
    let username = Username::parse("username", "ada").unwrap();
    UserRepository::find(&**world, ada).await.unwrap();
    UserRepository::find_by_name(&**world, &username).await.unwrap();
    world.credentials(ada).await.unwrap();
    for prefix in [None, Some(UsernamePrefix::parse("a").unwrap())] {
        for after in [None, Some(ada)] {
            UserRepository::list(&**world, prefix.as_ref(), after, limit(10)).await.unwrap();
        }
    }
    let session = Session::begin(SessionId(crate::world::fresh()), ada, None, now());
    let other = Session { id: SessionId(crate::world::fresh()), ..session.clone() };
    // The first has expired, so that the next login ends it.
    let begun = crate::world::at(0);
    let expired = Session::begin(SessionId(crate::world::fresh()), ada, None, begun);
    for session in [&expired, &session, &other] {
        world.begin_session(session.clone()).await.unwrap();
    }
    world.live(session.id).await.unwrap();
    world.touch(ada, session.id, now()).await.unwrap();
    for after in [None, Some(session.id)] {
        SessionRepository::list(&**world, ada, crate::world::at(0), after, limit(10)).await.unwrap();
    }
    // Spent, answered again, spent, and reused.
    for (generation, good) in [(1, true), (1, true), (2, true), (1, false)] {
        let spent = RefreshClaims { session: other.id, generation: Generation(generation) };
        assert_eq!(world.renew(ada, spent, now()).await.is_ok(), good, "{generation}");
    }
    let token = ApiToken {
        id: SessionId(crate::world::fresh()),
        name: TokenName::parse("ci").unwrap(),
        scopes: domain::Scopes::ALL,
        created_at: now(),
        expires_at: Some(now()),
        last_used_at: None,
    };
    ApiTokenRepository::create(&**world, ada, token.clone(), SecretHash([1; 32])).await.unwrap();
    ApiTokenRepository::list(&**world, ada, now()).await.unwrap();
    ApiTokenRepository::end(&**world, ada, token.id, now()).await.unwrap();
    let change = ProfileChange {
        email: Change::Set(Email::parse("b@example.org").unwrap()),
        display_name: Change::Set(domain::users::DisplayName::parse("A").unwrap()),
        password: Some(domain::users::PasswordHash("x".to_owned())),
        proven: Some(domain::users::PasswordHash("hash of ada".to_owned())),
    };
    UserRepository::change(&**world, ada, change, session.id, now()).await.unwrap();
    SessionRepository::end(&**world, ada, session.id, now()).await.unwrap();

    let tea = world.private_group("tea", ada, [bob]).await;
    let open = world.group(ada, "open", Visibility::Public).await;
    GroupRepository::find(&**world, ada, tea).await.unwrap();
    GroupRepository::find_by_name(&**world, ada, &GroupName::parse("name", "tea").unwrap().key()).await.unwrap();
    for prefix in [None, Some(GroupNamePrefix::parse("t").unwrap())] {
        for after in [None, Some(open)] {
            GroupRepository::list(&**world, ada, prefix.as_ref(), after, limit(10)).await.unwrap();
        }
    }
    let change = GroupChange { name: Some(GroupName::parse("name", "Tee").unwrap()), ..GroupChange::default() };
    GroupRepository::change(&**world, ada, tea, change, now()).await.unwrap();
    world.add(ada, tea, eve, Role::Member).await.unwrap();
    MemberRepository::change_role(&**world, ada, tea, eve, Role::Admin, now()).await.unwrap();
    for after in [None, Some(ada)] {
        MemberRepository::list(&**world, ada, tea, after, limit(10)).await.unwrap();
    }

    let file = a_file(ada, "image/png");
    FileRepository::create(&**world, file.clone()).await.unwrap();
    let attached = Attachment::Stored { kind: AttachmentKind::Image, file: file.id };
    let to = Recipient::User(bob);
    let first = world.say(ada, to, "first").await;
    let body = NewBody::Attachment(attached, Caption::none());
    let keyed = || NewMessage {
        key: IdempotencyKey::parse("client_id", "k").ok(),
        reply_to: Some(first.id),
        body: body.clone(),
        ..text(ada, to, "x")
    };
    for _ in 0..2 {
        world.append(keyed()).await.unwrap();
    }
    use_all_parts(world, [ada, bob], &first).await;
    world.say(bob, Recipient::Group(tea), "x").await;
    world.say(bob, Recipient::Group(open), "x").await;
    world.say(ada, Recipient::Everybody, "x").await;
    FileRepository::find(&**world, bob, file.id).await.unwrap();
    let last = world.say(ada, to, "last").await;
    for window in [
        Window::Before { cursor: Cursor::Latest, limit: limit(10) },
        Window::Before { cursor: Cursor::Message(last.id), limit: limit(10) },
        Window::After { cursor: first.id, limit: limit(10) },
        Window::Offset { offset: 1, limit: limit(10) },
    ] {
        world.page(ada, to, window).await.unwrap();
        world
            .page(ada, Recipient::Group(tea), Window::Before { cursor: Cursor::Latest, limit: limit(10) })
            .await
            .unwrap();
    }
    MessageReader::find(&**world, bob, first.id).await.unwrap();
    world.unseen(bob).await.unwrap();
    world.mark_seen(bob, last.id, now()).await.unwrap();
    world.of_message(ada, last.id, None, limit(10)).await.unwrap();
    world.of_message(ada, last.id, Some(bob), limit(10)).await.unwrap();
    world.mark_read(bob, last.conversation, last.id, now()).await.unwrap();
    let listed =
        ConversationRepository::list(&**world, ada, ConversationFilter::default(), None, limit(1)).await.unwrap();
    let before = listed.items.last().map(ConversationCursor::behind);
    ConversationRepository::list(&**world, ada, ConversationFilter::default(), before, limit(10)).await.unwrap();
    let since = world.subscriptions(bob).await.unwrap().at;
    world.edit(ada, first.id, Content::parse("better").unwrap(), now()).await.unwrap();
    world.delete(ada, last.id, now()).await.unwrap();
    world.changes(bob, first.conversation, Update(0), limit(10)).await.unwrap();
    world.missed(bob, since).await.unwrap();
    world.missed(bob, beginning).await.unwrap().unwrap();

    world.accounts(None, Some(ada), limit(10)).await.unwrap();
    world.account(ada).await.unwrap();
    world.execute(Actor::CommandLine, AdminCommand::EndSessions(bob), now()).await.unwrap();
    world.audit(None, limit(10)).await.unwrap();
    world.sent(ada, None).await.unwrap();
    world.seen(bob, None).await.unwrap();
    ExportReader::versions(&**world, ada, None).await.unwrap();
    world.reactions(bob, None).await.unwrap();
    world.mentioned(bob, None).await.unwrap();
    world.memberships(ada, None).await.unwrap();
    ExportReader::sessions(&**world, ada, None).await.unwrap();
    ExportReader::tokens(&**world, ada, now()).await.unwrap();
    ExportReader::files(&**world, ada, None).await.unwrap();
    world.due(now(), None).await.unwrap();
    world.expire(first.conversation, first.created_at, now()).await.unwrap();
    // Those that have ended, then those that nobody uses.
    assert_ne!(world.forget(now(), crate::world::at(0)).await.unwrap(), 0);
    world.forget(now(), now()).await.unwrap();
    let withdrawn = world.withdraw_files(now(), now()).await.unwrap();
    world.forget_files(withdrawn).await.unwrap();

    world.remove(ada, tea, bob).await.unwrap();
    GroupRepository::delete(&**world, ada, open, now()).await.unwrap();
    world.delete_user(ada).await;
    world.missing_users(vec!["ada".to_owned()]).await.unwrap();
    assert_ne!(first.conversation, ConversationId::BROADCAST);
}

/// Makes tables large that the planner never looks at.
fn grow(world: &World) {
    let alone =
        GROWING.iter().map(|table| format!("ALTER TABLE {table} SET (autovacuum_enabled = off);")).collect::<String>();
    let rows = "INSERT INTO users (id, username, username_key, role, created_at, updated_at) \
          SELECT gen_random_uuid(), 'grown' || n, 'grown' || n, 'member', now(), now() FROM generate_series(1, 3000) n; \
        INSERT INTO sessions (id, user_id, created_at, last_seen_at) \
          SELECT gen_random_uuid(), id, now(), now() FROM users WHERE username LIKE 'grown%'; \
        INSERT INTO conversations (id, kind, name, name_key, description, visibility, created_at, updated_at) \
          SELECT gen_random_uuid(), 'group', 'grown' || n, 'grown' || n, '', 'private', now(), now() \
          FROM generate_series(1, 3000) n; \
        INSERT INTO members (conversation_id, user_id, role, joined_at, updated_at) \
          SELECT c.id, u.id, 'owner', now(), now() FROM conversations c JOIN users u ON u.username = c.name; \
        INSERT INTO files (id, uploader_id, name, size, type, sha256, created_at) \
          SELECT gen_random_uuid(), id, 'x', 1, 'x', '', now() FROM users WHERE username LIKE 'grown%'; \
        INSERT INTO messages (conversation_id, seq, id, sender_id, type, content, created_at, updated_at, \"update\", revision) \
          SELECT m.conversation_id, n, gen_random_uuid(), m.user_id, 'text', 'x', now(), now(), n, 1 \
          FROM members m JOIN generate_series(1, 5) n ON m.role = 'owner'; \
        INSERT INTO receipts (conversation_id, user_id, seq, from_seq, seen_at) \
          SELECT conversation_id, user_id, n, n - 1, now() FROM members JOIN generate_series(1, 3) n ON true;";
    world.raw().batch_execute(&format!("{alone} {rows}")).unwrap();
}

async fn no_statement_of_a_port_walks_over_a_table(db: TestDb) {
    listen(&db);
    let world = World::new(db).await;
    if world.db.backend() == Backend::Postgres {
        grow(&world);
    }
    heard(&world.db);
    use_everything(&world).await;
    let heard_all = heard(&world.db);
    let verbs = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"];
    let statements: Vec<&String> =
        heard_all.iter().filter(|sql| verbs.iter().any(|verb| sql.starts_with(verb))).collect();
    let mut conn = world.raw();
    if world.db.backend() == Backend::Postgres {
        // The planner has never looked at the tables, and is told by the connections themselves what it is to do.
        let told = heard_all.iter().find(|sql| sql.starts_with("SET TIME ZONE")).unwrap();
        conn.batch_execute(&format!("{told}; SET plan_cache_mode = force_generic_plan")).unwrap();
        let unknown = "SELECT count(*) FROM pg_stats WHERE schemaname = 'public'";
        assert_eq!(conn.number(unknown), 0, "somebody has looked at the tables");
        expect_no_walks(&mut conn, &statements);
        conn.batch_execute("SET enable_seqscan = off").unwrap();
        // A migration that makes an index counts the rows there are. Plans are to be those of tables that have grown.
        let tables = GROWING.iter().map(|table| format!("'{table}'")).collect::<Vec<_>>().join(", ");
        let grown = format!("UPDATE pg_class SET reltuples = 1000000, relpages = 1 WHERE relname IN ({tables})");
        conn.batch_execute(&grown).unwrap();
    }
    expect_no_walks(&mut conn, &statements);
}

/// Fails where a statement walks over a table.
fn expect_no_walks(conn: &mut Raw, statements: &[&String]) {
    let (mut examined, mut walks) = (0, Vec::new());
    for sql in statements {
        // What is inserted from the statement's own arrays has no table to look through, and a condition that nothing
        // fulfils is not looked for.
        if sql.starts_with("INSERT") || sql.ends_with("WHERE (1=0)") {
            continue;
        }
        examined += 1;
        let plan = plan(conn, sql);
        if walk(&plan, sql).is_some() {
            walks.push(format!("{sql}\n    {}", plan.join("\n    ")));
        }
    }
    assert!(examined > 60, "only {examined} statements were heard");
    assert!(walks.is_empty(), "{} of {examined}:\n{}", walks.len(), walks.join("\n\n"));
}

async fn groups_are_listed_past_nobody_elses(db: TestDb) {
    listen(&db);
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    world.group(ada, "open", Visibility::Public).await;
    world.group(bob, "secret", Visibility::Private).await;
    heard(&world.db);
    GroupRepository::list(&*world, ada, None, None, limit(10)).await.unwrap();
    let statements = heard(&world.db);
    let mut conn = world.raw();
    if world.db.backend() == Backend::Postgres {
        conn.batch_execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan").unwrap();
        // Many groups, and few of anybody's.
        conn.batch_execute(
            "INSERT INTO users SELECT gen_random_uuid(), 'u' || n, 'u' || n, NULL, NULL, NULL, NULL, 'member', now(), now() \
               FROM generate_series(1, 2000) n; \
             INSERT INTO conversations (id, kind, name, name_key, description, visibility, created_at, updated_at) \
               SELECT gen_random_uuid(), 'group', 'g' || n, 'g' || n, '', 'private', now(), now() \
               FROM generate_series(1, 2000) n; \
             INSERT INTO members SELECT c.id, u.id, 'owner', 0, now(), now() FROM conversations c \
               JOIN users u ON u.username = 'u' || substr(c.name, 2) WHERE c.name LIKE 'g%'; \
             ANALYZE",
        )
        .unwrap();
    }
    let listings: Vec<_> = statements.iter().filter(|sql| sql.contains("ORDER BY")).collect();
    let plans: Vec<String> = listings.iter().map(|sql| plan(&mut conn, sql).join("\n")).collect();
    for index in ["conversations_listed", "members_by_user"] {
        assert!(plans.iter().any(|plan| plan.contains(index)), "{index}: {}", plans.join("\n\n"));
    }
}

async fn messages_are_looked_for_behind_what_has_expired(db: TestDb) {
    listen(&db);
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let of = world.say(ada, Recipient::User(bob), "x").await.conversation;
    heard(&world.db);
    for window in
        [Window::Before { cursor: Cursor::Latest, limit: limit(10) }, Window::Offset { offset: 0, limit: limit(10) }]
    {
        world.page(ada, Recipient::User(bob), window).await.unwrap();
    }
    world.changes(ada, of, Update(0), limit(10)).await.unwrap();
    ConversationRepository::list(&*world, bob, ConversationFilter::default(), None, limit(10)).await.unwrap();
    let statements = heard(&world.db);
    let mut conn = world.raw();
    if world.db.backend() == Backend::Postgres {
        conn.batch_execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan").unwrap();
    }
    let of_messages = |sql: &&String| {
        let sql = sql.replace(['`', '"'], "");
        ["ORDER BY messages.seq", "ORDER BY m.seq", "ORDER BY seq LIMIT"].iter().any(|order| sql.contains(order))
    };
    let mut looks = 0;
    for sql in statements.iter().filter(of_messages) {
        let plan = plan(&mut conn, sql);
        let begun =
            |step: &&String| step.contains("seq>?") || (step.contains("Index Cond") && step.contains("(seq > "));
        looks += plan.iter().filter(begun).count();
        assert!(plan.iter().any(|step| begun(&step)), "{sql}\n{}", plan.join("\n"));
    }
    // Where the newest page begins and the oldest, what is unchanged, the last live one, the unseen ones and receipts.
    assert_eq!(looks, 6, "{statements:#?}");
}
