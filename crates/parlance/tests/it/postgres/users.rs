//! `parlance user` beside running servers.

use super::serve;
use crate::harness::{Client, Process, User};
use crate::live::client::soon;
use serde_json::json;
use std::path::Path;
use test_support::TestDb;

fn user(directory: &Path, url: &str, arguments: &[&str]) {
    let arguments: Vec<_> = ["user"].iter().chain(arguments).copied().collect();
    let ran = Process::run(directory, &arguments, &[("DATABASE_URL", url)]);
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// Asks until the answer has that status: a running server finds out by itself, within about two seconds.
async fn until(client: &Client, path: &str, status: u16) {
    soon("a change made by the command line", async { while client.get(path).await.status != status {} }).await;
}

#[actix_web::test]
async fn what_the_command_line_does_reaches_running_servers() {
    let Some(database) = TestDb::postgres() else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path(), database.url());
    let account = json!({ "username": "ada", "password": "12345678" });
    server.client.post("/signup", account.clone()).await.expect(201);
    let log_in = async || {
        let login = server.client.post("/login", account.clone()).await.expect(200);
        User::new(&server.client, &login, "12345678")
    };
    let ada = log_in().await;
    ada.get("/admin/users").await.refused(403, None);
    user(directory.path(), database.url(), &["role", "ada", "admin"]);
    until(&ada, "/admin/users", 200).await;

    user(directory.path(), database.url(), &["disable", "ada"]);
    until(&ada, "/me", 401).await;
    server.client.post("/login", account.clone()).await.refused(401, None);
    user(directory.path(), database.url(), &["enable", "ada"]);
    let ada = log_in().await;
    user(directory.path(), database.url(), &["password", "ada"]);
    until(&ada, "/me", 401).await;
    server.client.post("/login", account.clone()).await.refused(401, None);
}
