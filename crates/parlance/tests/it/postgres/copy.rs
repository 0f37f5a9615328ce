//! `parlance copy`: afterwards, the server gives the same answers.

use super::serve;
use crate::harness::{Client, Process, User};
use futures_util::future::join_all;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use std::path::Path;
use test_support::TestDb;

/// How many messages the copied database has: `PARLANCE_TEST_SCALE=full` asks for what is promised.
fn messages() -> usize {
    if std::env::var("PARLANCE_TEST_SCALE").is_ok_and(|scale| scale == "full") { 200_000 } else { 1_500 }
}

const PEOPLE: usize = 6;

fn copy(directory: &Path, from: &str, to: &str, more: &[&str]) -> (Option<i32>, String) {
    let arguments = [&["copy", "--from", from, "--to", to], more].concat();
    let output = Process::run(directory, &arguments, &[]);
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

/// Some of everything.
async fn fill(client: &Client) -> (Vec<User>, Vec<String>) {
    let mut users = Vec::new();
    for n in 0..PEOPLE {
        let account =
            json!({ "username": format!("User.{n}"), "password": "12345678", "email": format!("U{n}@Example.org") });
        client.post("/signup", account.clone()).await.expect(201);
        users.push(User::new(client, &client.post("/login", account).await.expect(200), "12345678"));
    }
    users[1].patch("/me", json!({ "display_name": "Ünï 🙂" })).await.expect(200);
    let mut groups = Vec::new();
    for (n, visibility) in ["public", "private", "private"].into_iter().enumerate() {
        let group = users[n].group(&format!("Group {n} ß"), visibility).await;
        for (m, user) in users.iter().enumerate().filter(|(m, _)| *m != n) {
            users[n].add(&group, user, if m == 4 { "admin" } else { "member" }).await;
        }
        groups.push(group);
    }
    let each = messages() / PEOPLE;
    let all = join_all(users.iter().enumerate().map(|(n, user)| {
        let (users, groups) = (&users, &groups);
        async move {
            let mut ids = Vec::new();
            for k in 0..each {
                let mut body = json!({ "content": format!("{n} | {k} \"🙂\"\n"), "client_id": format!("key {k}") });
                match k % 4 {
                    0 => body["group_id"] = json!(groups[k / 4 % 3]),
                    _ => body["receiver_id"] = json!(users[(n + k) % PEOPLE].id),
                }
                let sent = user.post("/messages", body).await.expect(201);
                ids.push(sent["id"].as_str().unwrap().to_owned());
            }
            ids
        }
    }))
    .await;
    for (n, user) in users.iter().enumerate() {
        for id in all[n].iter().step_by(41) {
            user.put(&format!("/messages/{id}"), json!({ "content": "edited" })).await.expect(200);
        }
        for id in all[n].iter().skip(7).step_by(53) {
            user.delete(&format!("/messages/{id}"), json!({})).await.expect(204);
        }
        user.post(&format!("/messages/{}/seen", all[(n + 1) % PEOPLE][0]), json!({})).await.expect(200);
        let picture = Part::bytes(&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..]).file_name("ä b.png");
        let upload = Form::new().part("file", picture).text("group_id", groups[0].clone());
        let sent = user.form("/messages/upload", upload).await.expect(201);
        let answer = json!({ "group_id": groups[0], "content": "nice", "reply_to": sent["id"] });
        user.post("/messages", answer).await.expect(201);
        user.post("/broadcast/send", json!({ "content": "hello all" })).await.expect(200);
    }
    let newest = users[3].get(&format!("/messages?group_id={}&before=latest&limit=5", groups[1])).await.expect(200);
    let up_to = json!({ "up_to": newest[2]["id"] });
    users[3].post(&format!("/conversations/{}/read", groups[1]), up_to).await.expect(204);
    users[2].delete(&format!("/groups/{}", groups[2]), json!({})).await.expect(204);
    users[5].delete_account().await;
    users.truncate(5);
    groups.truncate(2);
    (users, groups)
}

/// Every list, count and history of everybody.
async fn everything(users: &[User], groups: &[String]) -> Vec<Value> {
    let mut all = Vec::new();
    for user in users {
        let mut paths = vec![
            "/me".to_owned(),
            "/users?limit=2".to_owned(),
            "/users?q=uSER.".to_owned(),
            "/groups?limit=1".to_owned(),
            "/broadcast/history".to_owned(),
            format!("/messages/unseen/{}", user.id),
        ];
        let conversations = user.pages("/conversations?limit=3").await;
        let ids: Vec<String> = conversations
            .iter()
            .flat_map(|page| page.as_array().unwrap())
            .map(|conversation| conversation["id"].as_str().unwrap().to_owned())
            .collect();
        all.extend(conversations);
        for group in groups {
            paths.push(format!("/groups/{group}"));
            paths.push(format!("/groups/{group}/members?limit=2"));
            paths.push(format!("/messages?group_id={group}&limit=200"));
            paths.push(format!("/messages?group_id={group}&before=latest&limit=200"));
        }
        for other in users {
            paths.push(format!("/messages?receiver_id={}&limit=200", other.id));
            paths.push(format!("/dm/history?user={}&limit=150", other.name));
        }
        for path in paths {
            let pages = user.pages(&path).await;
            for message in pages.iter().filter_map(Value::as_array).flatten().step_by(97) {
                if let (Some(id), true) = (message["id"].as_str(), message["seq"].is_i64()) {
                    all.push(user.get(&format!("/messages/{id}/seen")).await.expect(200));
                }
            }
            all.extend(pages);
        }
        for id in ids {
            let mut after = 0;
            loop {
                let page = user.get(&format!("/conversations/{id}/changes?after={after}&limit=200")).await.expect(200);
                after = page["update"].as_i64().unwrap();
                let more = page["more"] == true;
                all.push(page);
                if !more {
                    break;
                }
            }
        }
    }
    all
}

#[actix_web::test]
async fn a_copied_database_answers_everything_the_same_there_and_back() {
    let (Some(database), directory) = (TestDb::empty_postgres(), tempfile::tempdir().unwrap()) else { return };
    let file = |name: &str| format!("sqlite://{}", directory.path().join(name).display());
    let (first, back) = (file("first.db"), file("back.db"));
    let server = serve(directory.path(), &first);
    let (users, groups) = fill(&server.client).await;
    let before = everything(&users, &groups).await;
    assert!(before.len() > 100);

    // Not while a server is on it.
    let (code, said) = copy(directory.path(), &first, database.url(), &[]);
    assert!(code == Some(1) && said.contains("another parlance is running"), "{said}");
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));

    let (code, said) = copy(directory.path(), &first, database.url(), &["--dry-run"]);
    assert!(code == Some(0) && said.contains("nothing has changed") && said.contains("messages"), "{said}");
    for (from, to) in [(&*first, database.url()), (database.url(), &*back)] {
        let (code, said) = copy(directory.path(), from, to, &[]);
        assert!(code == Some(0) && !said.contains("DIFFERS") && said.contains(" 0 differ"), "{said}");
        let (code, said) = copy(directory.path(), from, to, &[]);
        assert!(code == Some(1) && said.contains("the target is not empty"), "{said}");
        let server = serve(directory.path(), to);
        let users: Vec<_> = users.iter().map(|user| user.at(&server.client)).collect();
        let after = everything(&users, &groups).await;
        assert_eq!(before.len(), after.len());
        for (before, after) in before.iter().zip(after) {
            assert_eq!(*before, after);
        }
        // It goes on where it was: under an old key nothing is stored twice, and a new message takes the next number.
        let again = json!({ "receiver_id": users[1].id, "content": "0 | 1 \"🙂\"\n", "client_id": "key 1" });
        users[0].post("/messages", again).await.expect(200);
        if to == database.url() {
            let (code, said) = copy(directory.path(), to, &back, &[]);
            assert!(code == Some(1) && said.contains("connected to the source"), "{said}");
        }
        server.signal("TERM");
        assert_eq!(server.wait().0, Some(0));
    }
}

#[test]
fn what_cannot_be_copied_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| format!("sqlite://{}", directory.path().join(name).display());
    let (there, not_there) = (file("there.db"), file("not-there.db"));
    Process::run(directory.path(), &["migrate", "--database-url", &there], &[]);
    for (from, to, expected, why) in [
        (&not_there, &there, 1, "the source does not exist"),
        (&there, &there, 1, "the same database"),
        (&"mysql://x".to_owned(), &there, 2, "the URL of the source must begin"),
        (&there, &"x.db".to_owned(), 2, "the URL of the target must begin"),
    ] {
        let (code, said) = copy(directory.path(), from, to, &[]);
        assert!(code == Some(expected) && said.contains(why), "{said}");
    }
    assert!(!directory.path().join("not-there.db").exists());
    let incomplete = Process::run(directory.path(), &["copy", "--from", &there], &[]);
    assert_eq!(incomplete.status.code(), Some(2));
}
