//! The tables themselves: the same on both databases, made and unmade by the migrations, and who may open them.

use crate::world::{Raw, World, open};
use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use domain::events::NoListeners;
use domain::users::{ServerPolicy, UserRepository, Username};
use infra_diesel::{OpenError, Store};
use std::sync::Arc;
use test_support::{Backend, TestDb};

on_both!(migrations_go_up_and_down_and_up_again, a_second_migration_has_nothing_to_do, an_opened_database_is_ready);

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// The lines that a query of one column, `line`, gives.
pub fn lines(conn: &mut Raw, sql: &str) -> Vec<String> {
    let lines: Vec<Line> = sql_query(sql).load(conn).unwrap();
    let mut lines: Vec<String> = lines.into_iter().map(|row| row.line).collect();
    lines.sort();
    lines
}

/// Everything about the tables that both dialects can say, in words that both share.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    columns: Vec<String>,
    keys: Vec<String>,
    references: Vec<String>,
    indexes: Vec<String>,
}

impl Shape {
    fn of(conn: &mut Raw) -> Self {
        match conn {
            Raw::Sqlite(_) => Self::of_sqlite(conn),
            Raw::Postgres(_) => Self::of_postgres(conn),
        }
    }

    fn of_sqlite(conn: &mut Raw) -> Self {
        const TABLES: &str = "sqlite_master t WHERE t.type = 'table' AND t.name NOT LIKE '\\_\\_%' ESCAPE '\\'";
        // Of a key column SQLite does not say that it is not null; there it is.
        let columns = format!(
            "SELECT t.name || '.' || c.name || ' ' || CASE c.type \
             WHEN 'BLOB' THEN CASE WHEN c.name IN ('sha256', 'sent_digest', 'digest', 'said_mentions', 'thumbhash', 'sent_sha256', 'token_hash') THEN 'bytes' ELSE 'id' END \
             WHEN 'BIGINT' THEN CASE WHEN c.name LIKE '%\\_at' ESCAPE '\\' OR c.name LIKE '%\\_until' ESCAPE '\\' THEN 'time' ELSE 'number' END \
             WHEN 'INTEGER' THEN 'small number' WHEN 'TEXT' THEN 'text' ELSE c.type END \
             || CASE WHEN c.\"notnull\" OR c.pk THEN ' not null' ELSE '' END AS line FROM pragma_table_info(t.name) c, {TABLES}"
        );
        let keys = format!(
            "SELECT t.name || ' ' || c.pk || ' ' || c.name AS line FROM pragma_table_info(t.name) c, {TABLES} AND c.pk > 0"
        );
        let references = format!(
            "SELECT t.name || '.' || f.\"from\" || ' ' || f.\"table\" || '.' || f.\"to\" AS line \
             FROM pragma_foreign_key_list(t.name) f, {TABLES}"
        );
        let indexes = "SELECT sql AS line FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";
        Self {
            columns: lines(conn, &columns),
            keys: lines(conn, &keys),
            references: lines(conn, &references),
            indexes: lines(conn, indexes).iter().map(|sql| plain(sql)).collect(),
        }
    }

    fn of_postgres(conn: &mut Raw) -> Self {
        let columns = "SELECT table_name || '.' || column_name || ' ' || CASE data_type \
             WHEN 'uuid' THEN 'id' WHEN 'bytea' THEN 'bytes' WHEN 'bigint' THEN 'number' WHEN 'integer' THEN 'small number' \
             WHEN 'timestamp with time zone' THEN 'time' ELSE data_type END \
             || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END AS line \
             FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%'";
        let keys = "SELECT k.table_name || ' ' || k.ordinal_position || ' ' || k.column_name AS line \
             FROM information_schema.key_column_usage k JOIN information_schema.table_constraints c USING (constraint_name) \
             WHERE c.constraint_type = 'PRIMARY KEY' AND k.table_schema = 'public' AND k.table_name NOT LIKE '\\_\\_%'";
        let references = "SELECT conrelid::regclass || '.' || a.attname || ' ' || confrelid::regclass || '.' || b.attname \
             AS line FROM pg_constraint CROSS JOIN unnest(conkey, confkey) AS k(own, other) \
             JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.own \
             JOIN pg_attribute b ON b.attrelid = confrelid AND b.attnum = k.other WHERE contype = 'f'";
        let indexes =
            "SELECT indexdef AS line FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%pkey'";
        Self {
            columns: lines(conn, columns),
            keys: lines(conn, keys),
            references: lines(conn, references),
            indexes: lines(conn, indexes).iter().map(|sql| plain(sql)).collect(),
        }
    }
}

/// The definition of an index without what only one dialect writes.
fn plain(sql: &str) -> String {
    let sql = sql.replace("public.", "").replace("USING btree ", "").replace('"', "");
    match sql.split_once(" WHERE ") {
        Some((index, condition)) => format!("{index} WHERE {}", condition.replace(['(', ')'], "")),
        None => sql,
    }
}

#[tokio::test]
async fn both_databases_have_the_same_tables() {
    let (Some(postgres), sqlite) = (TestDb::postgres(), TestDb::sqlite()) else { return };
    Store::migrate(sqlite.url()).await.unwrap();
    let (sqlite, postgres) = (Shape::of(&mut Raw::open(&sqlite)), Shape::of(&mut Raw::open(&postgres)));
    assert!(sqlite.columns.len() > 50 && sqlite.indexes.len() > 8, "{sqlite:?}");
    let Shape { columns, keys, references, indexes } = sqlite;
    assert_eq!(columns, postgres.columns);
    assert_eq!(keys, postgres.keys);
    assert_eq!(references, postgres.references);
    // Nodes share a Postgres only: what they look for by revision is indexed there.
    let of_nodes = |index: &&String| index.contains("conversations_roster");
    let (nodes, rest): (Vec<_>, Vec<_>) = postgres.indexes.iter().partition(of_nodes);
    assert_eq!((nodes.len(), rest), (1, indexes.iter().collect()));
}

#[tokio::test]
async fn what_is_deleted_is_not_referred_to() {
    let sqlite = TestDb::sqlite();
    Store::migrate(sqlite.url()).await.unwrap();
    let shape = Shape::of(&mut Raw::open(&sqlite));
    // Rows are deleted from `members` only: a reference to it needs an index, or every removal would scan. The primary
    // key of drafts begins with theirs.
    let of_members = shape.references.iter().filter(|reference| reference.contains(" members."));
    let of_members: Vec<&str> = of_members.map(String::as_str).collect();
    assert_eq!(of_members, ["drafts.conversation_id members.conversation_id", "drafts.user_id members.user_id"]);
    let key = |reference: &&String| reference.starts_with("drafts ");
    let keys: Vec<&String> = shape.keys.iter().filter(key).collect();
    assert_eq!(keys, ["drafts 1 conversation_id", "drafts 2 user_id"]);
}

async fn migrations_go_up_and_down_and_up_again(db: TestDb) {
    Store::migrate(db.url()).await.unwrap();
    let mut conn = Raw::open(&db);
    let first = Shape::of(&mut conn);
    let folder = match db.backend() {
        Backend::Sqlite => "../../migrations/sqlite",
        Backend::Postgres => "../../migrations/postgres",
    };
    let migrations = || FileBasedMigrations::from_path(folder).unwrap();
    let revert = |conn: &mut Raw| match conn {
        Raw::Sqlite(conn) => conn.revert_all_migrations(migrations()).unwrap().len(),
        Raw::Postgres(conn) => conn.revert_all_migrations(migrations()).unwrap().len(),
    };
    let run = |conn: &mut Raw| match conn {
        Raw::Sqlite(conn) => conn.run_pending_migrations(migrations()).unwrap().len(),
        Raw::Postgres(conn) => conn.run_pending_migrations(migrations()).unwrap().len(),
    };
    let reverted = revert(&mut conn);
    let nothing = Shape { columns: vec![], keys: vec![], references: vec![], indexes: vec![] };
    assert_eq!(Shape::of(&mut conn), nothing);
    assert_eq!(run(&mut conn), reverted);
    assert_eq!(Shape::of(&mut conn), first);
    // The rows that are there from the start, too.
    assert_eq!(conn.number("SELECT count(*) FROM conversations"), 1);
    World::new(db).await.user("ada").await;
}

/// A database as the first migration made it, with somebody in it, and what both said.
fn as_first_released(db: &TestDb) {
    let mut conn = Raw::open(db);
    match &mut conn {
        Raw::Sqlite(conn) => {
            let migrations = FileBasedMigrations::from_path("../../migrations/sqlite").unwrap();
            conn.run_next_migration(migrations).unwrap();
        }
        Raw::Postgres(conn) => {
            let migrations = FileBasedMigrations::from_path("../../migrations/postgres").unwrap();
            conn.run_next_migration(migrations).unwrap();
        }
    }
    let (id, other, time) = match db.backend() {
        Backend::Sqlite => {
            ("x'00000000000070008000000000000001'", "x'00000000000070008000000000000002'", "1700000000000000")
        }
        Backend::Postgres => {
            ("'00000000-0000-7000-8000-000000000001'", "'00000000-0000-7000-8000-000000000002'", "now()")
        }
    };
    for (id, name) in [(id, "ada"), (other, "bob")] {
        conn.run(&format!(
            "INSERT INTO users (id, username, username_key, role, created_at, updated_at) \
             VALUES ({id}, '{name}', '{name}', 'member', {time}, {time})"
        ));
    }
    conn.run(&format!(
        "INSERT INTO conversations (id, kind, \"update\", last_seq, first_user, second_user, created_at, updated_at) \
         VALUES ({id}, 'direct', 1, 1, {id}, {other}, {time}, {time})"
    ));
    for user in [id, other] {
        conn.run(&format!(
            "INSERT INTO members (conversation_id, user_id, role, joined_at, updated_at) \
             VALUES ({id}, {user}, 'member', {time}, {time})"
        ));
    }
    conn.run(&format!(
        "INSERT INTO messages (conversation_id, seq, id, sender_id, type, content, created_at, updated_at, \"update\", revision) \
         VALUES ({id}, 1, {id}, {id}, 'text', 'from before', {time}, {time}, 1, 0)"
    ));
}

#[tokio::test]
async fn a_database_of_the_first_release_is_brought_up_to_date_with_all_that_is_in_it() {
    for db in [Some(TestDb::sqlite()), TestDb::empty_postgres()].into_iter().flatten() {
        as_first_released(&db);
        assert!(!Store::migrate(db.url()).await.unwrap().is_empty());
        assert_eq!(Store::check(db.url()).await.unwrap(), [""; 0]);
        let world = World::new(db).await;
        let ada = Username::parse("username", "ada").unwrap();
        let ada = world.find_by_name(&ada).await.unwrap().unwrap();
        assert_eq!(ada.disabled_at, None);
        let conversations = world.conversations(ada.id).await;
        assert_eq!(conversations[0].last_message.as_ref().unwrap().body.content(), "from before");
        let bob = world.find_by_name(&Username::parse("username", "bob").unwrap()).await.unwrap().unwrap();
        assert_eq!(world.unseen_in(bob.id, conversations[0].id).await, 1);
        let said = world.say(ada.id, domain::messages::Recipient::User(bob.id), "and after").await;
        assert_eq!(said.seq.0, 2);
    }
}

async fn a_second_migration_has_nothing_to_do(db: TestDb) {
    let first = Store::migrate(db.url()).await.unwrap();
    // On Postgres the template was migrated.
    assert_eq!(first.is_empty(), db.backend() == Backend::Postgres);
    assert_eq!(Store::migrate(db.url()).await.unwrap(), [""; 0]);
}

async fn an_opened_database_is_ready(db: TestDb) {
    let world = World::new(db).await;
    assert!(world.ready().await);
}

#[tokio::test]
async fn five_servers_at_once_on_an_empty_postgres_all_come_up() {
    let Some(db) = TestDb::empty_postgres() else { return };
    let opened =
        crate::concurrency::all((0..5).map(|_| open(&db, ServerPolicy::default(), Arc::new(NoListeners)))).await;
    for store in &opened {
        assert!(store.ready().await);
    }
    let mut conn = Raw::open(&db);
    let migrations = std::fs::read_dir("../../migrations/postgres").unwrap().count();
    assert_eq!(conn.number("SELECT count(*) FROM __diesel_schema_migrations"), migrations as i64);
    assert_eq!(conn.number("SELECT count(*) FROM conversations"), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new(TestDb::sqlite()).await;
    world.user("ada").await;
    let path = world.db.url().strip_prefix("sqlite://").unwrap().to_owned();
    for file in ["", "-wal", "-shm"] {
        let rights = std::fs::metadata(format!("{path}{file}")).unwrap().permissions().mode() & 0o777;
        assert_eq!(rights, 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_second_server_on_one_file_is_refused_until_the_first_is_gone() {
    let world = World::new(TestDb::sqlite()).await;
    let refused = Store::migrate(world.db.url()).await.unwrap_err();
    assert!(matches!(refused, OpenError::Lock(_)), "{refused:?}");
    let said = refused.to_string();
    assert!(said.contains("another parlance is running on") && said.contains("parlance.db"), "{said}");
    let world = world.reopened().await;
    world.user("ada").await;
}

#[tokio::test]
async fn what_is_no_database_is_said_in_a_sentence() {
    for (url, sentence) in [
        ("mysql://x", "the database URL must begin with sqlite:// or postgres://"),
        ("sqlite:///proc/nothing/here/x.db", "/proc/nothing/here/x.db"),
        ("postgres://nobody@localhost:1/x", "cannot open the database"),
    ] {
        let said = Store::migrate(url).await.unwrap_err().to_string();
        assert!(said.contains(sentence), "{said}");
    }
    let db = TestDb::sqlite();
    let path = db.url().strip_prefix("sqlite://").unwrap();
    std::fs::write(path, "this is no database, and long enough to tell: ".repeat(50)).unwrap();
    let said = Store::migrate(db.url()).await.unwrap_err().to_string();
    assert!(said.contains("not a database"), "{said}");
}

#[tokio::test]
async fn readers_of_the_file_do_not_wait_for_the_writer() {
    let world = World::new(TestDb::sqlite()).await;
    let mode = lines(&mut world.raw(), "SELECT journal_mode AS line FROM pragma_journal_mode");
    assert_eq!(mode, ["wal"], "it is the file that remembers it");
}
