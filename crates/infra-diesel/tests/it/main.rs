//! The storage ports, held to their contracts (the rustdoc in the domain) on both databases.
#![expect(clippy::unwrap_used, reason = "a test fails where it is surprised")]

/// Makes a test on SQLite and one on Postgres of each `async fn name(db: TestDb)`.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(test_support::TestDb::sqlite()).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test]
                async fn $name() {
                    if let Some(db) = test_support::TestDb::postgres() {
                        super::$name(db).await;
                    }
                }
            )*
        }
    };
}

mod admin;
mod api_tokens;
mod append;
mod backup;
mod changes;
mod concurrency;
mod connections;
mod conversations;
mod copy;
mod costs;
mod digests;
mod endings;
mod export;
mod files;
mod followers;
mod groups;
mod idempotency;
mod keeper;
mod live;
mod locks;
mod members;
mod mentions;
mod names;
mod nodes;
mod pages;
mod parts;
mod plans;
mod quotas;
mod receipts;
mod renewal;
mod retention;
mod schema;
mod search;
mod sessions;
mod state_machine;
mod unseen;
mod upkeep;
mod users;
mod views;
mod world;
