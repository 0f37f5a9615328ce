//! Names in every case and normal form, and texts that are invisible or hide something.

use crate::harness::{Server, User};
use crate::live::client::Socket;
use domain::users::AdminNames;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

/// Texts of which a reader sees nothing.
const BLANK: &[&str] = &[
    " \t\r\n",
    "\u{a0}",
    "\u{ad}",
    "\u{34f}",
    "\u{61c}",
    "\u{115f}\u{1160}",
    "\u{17b4}\u{17b5}",
    "\u{180e}",
    "\u{200b}",
    "\u{200c}\u{200d}",
    "\u{202e}",
    "\u{2060}\u{2063}",
    "\u{2800}",
    "\u{3000}",
    "\u{3164}",
    "\u{fe0f}",
    "\u{feff}",
    "\u{ffa0}",
    "\u{e0041}\u{e007f}",
    "\u{e0100}",
];

/// Names with something in them that readers don't see.
const HIDING: &[&str] = &[
    "te\u{200b}a",
    "tea\u{200d}",
    "\u{200c}tea",
    "tea\u{fe0f}",
    "\u{feff}tea",
    "te\u{202e}a",
    "te\u{2066}a\u{2069}",
    "te\u{200e}a",
    "te\u{ad}a",
    "te\u{2800}a",
    "te\u{3164}a",
    "te\u{e0041}a",
    "te\u{2028}a",
    "te\na",
];

#[actix_web::test]
async fn whoever_is_named_is_found_whatever_the_spelling() {
    let server = Server::with(|config| config.policy.admins = AdminNames::parse(["Ａｄａ"]).unwrap()).await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let login = json!({ "username": "ＡＤＡ", "password": ada.password });
    let login = server.anyone().post("/login", login).await.expect(200);
    assert_eq!((&login["user"]["id"], &login["user"]["admin"]), (&json!(ada.id), &json!(true)));
    bob.post("/dm/send", json!({ "to": "ａｄａ", "content": "Hello!" })).await.expect(200);
    for typed in ["Ada", "ＡＤＡ", "ａｄａ"] {
        assert_eq!(bob.get(&format!("/dm/history?user={typed}")).await.expect(200).as_array().unwrap().len(), 1);
        let found = bob.get(&format!("/users?q={}", typed.chars().take(2).collect::<String>())).await.expect(200);
        assert_eq!(found[0]["id"], *ada.id, "{typed}");
    }
    for nobody in ["ad\u{200b}a", "ada\u{200d}", "ａｄａ ", &"ａ".repeat(5_000)] {
        bob.post("/dm/send", json!({ "to": nobody, "content": "x" })).await.refused(404, None);
    }
    for path in ["/signup", "/users"] {
        for name in ["ＡＤＡ", "ａda", "jürgen", "ad\u{200b}a"] {
            let body = json!({ "username": name, "password": "password", "email": "x@example.org" });
            server.anyone().post(path, body).await.refused(400, Some("username"));
        }
    }
}

#[actix_web::test]
async fn an_address_is_taken_whatever_its_spelling() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    ada.patch("/me", json!({ "email": "Jürgen@Exämple.org" })).await.expect(200);
    assert_eq!(ada.get("/me").await.expect(200)["email"], "Jürgen@Exämple.org");
    let bob = server.user("bob").await;
    for taken in
        ["jürgen@exämple.org", "ju\u{308}rgen@xn--exmple-cua.org", "JÜRGEN@EXA\u{308}MPLE.ORG", "ｊürgen@exämple。org"]
    {
        bob.patch("/me", json!({ "email": taken })).await.refused(409, Some("email"));
        let body = json!({ "username": "other", "password": "password", "email": taken });
        for path in ["/signup", "/users"] {
            server.anyone().post(path, body.clone()).await.refused(409, Some("email"));
        }
    }
    for malformed in ["a\u{200b}@b.org", "a@b\u{ad}.org", "a@xn--a.org", "a@b_c.org", "\u{202e}a@b.org"] {
        bob.patch("/me", json!({ "email": malformed })).await.refused(400, Some("email"));
    }
}

#[actix_web::test]
async fn a_group_has_one_name_whatever_its_spelling() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let name = "Café 👩\u{200d}💻";
    let id = ada.post("/groups", json!({ "name": name, "visibility": "public" })).await.expect(201)["id"].clone();
    let other = ada.group("other", "public").await;
    for typed in ["Cafe\u{301} 👩\u{200d}💻", "CAFÉ 👩💻", "ｃａｆé 👩\u{200d}💻"] {
        bob.post("/groups", json!({ "name": typed })).await.refused(409, Some("name"));
        bob.post("/group/create", json!({ "group": typed })).await.refused(409, Some("group"));
        ada.put(&format!("/groups/{other}"), json!({ "name": typed })).await.refused(409, Some("name"));
        bob.post("/group/send", json!({ "group": typed, "content": "x" })).await.expect(200);
        assert_eq!(bob.get(&format!("/group/history?group={typed}")).await.expect(200)[0]["group"], name);
        let begins: String = typed.chars().take(5).collect();
        let found = bob.get(&format!("/groups?q={begins}")).await.expect(200);
        assert_eq!((found.as_array().unwrap().len(), &found[0]["id"]), (1, &id), "{begins}");
    }
    // One's own name in another spelling is no conflict.
    ada.put(&format!("/groups/{}", id.as_str().unwrap()), json!({ "name": "CAFÉ 👩💻" })).await.expect(200);
    for (path, field) in [("/group/send", json!("caf\u{200b}é 👩💻")), ("/group/send", json!("x".repeat(50_000)))]
    {
        bob.post(path, json!({ "group": field, "content": "x" })).await.refused(404, None);
    }
}

/// Every way to say something in a text: what it answers.
async fn say(ada: &User, socket: &mut Socket, own: &str, text: &str) -> Vec<(&'static str, String, Option<String>)> {
    let group = "tea";
    let mut answers = Vec::new();
    for (path, body) in [
        ("/messages", json!({ "receiver_id": ada.id, "content": text })),
        ("/dm/send", json!({ "to": "ada", "content": text })),
        ("/group/send", json!({ "group": group, "content": text })),
        ("/broadcast/send", json!({ "content": text })),
    ] {
        let refused: Value = ada.post(path, body).await.refused(400, Some("content"));
        answers.push((path, refused["code"].as_str().unwrap().to_owned(), Some("content".to_owned())));
    }
    let refused = ada.put(&format!("/messages/{own}"), json!({ "content": text })).await.refused(400, Some("content"));
    answers.push(("edit", refused["code"].as_str().unwrap().to_owned(), Some("content".to_owned())));
    for data in [json!({ "receiver_id": ada.id, "content": text }), json!({ "broadcast": true, "content": text })] {
        let (code, field) = socket.refused("send", data).await;
        answers.push(("op", code, field));
    }
    answers
}

#[actix_web::test]
async fn a_text_that_shows_nothing_is_blank() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let group = ada.group("tea", "public").await;
    let own = ada.send(&ada.id, "own").await;
    let mut socket = Socket::open(&ada).await;
    for blank in BLANK {
        for (way, code, field) in say(&ada, &mut socket, &own, blank).await {
            assert_eq!(
                (&*code, field.as_deref()),
                ("invalid_request", Some("content")),
                "{way} {}",
                blank.escape_unicode()
            );
        }
        ada.post("/groups", json!({ "name": blank })).await.refused(400, Some("name"));
        ada.put(&format!("/groups/{group}"), json!({ "name": blank })).await.refused(400, Some("name"));
        ada.post("/group/create", json!({ "group": blank })).await.refused(400, Some("group"));
        ada.patch("/me", json!({ "display_name": blank })).await.refused(400, Some("display_name"));
        // What is said beside a file may be nothing, and is kept as it is.
        let form = Form::new().part("file", Part::bytes(b"x".to_vec()).file_name("a"));
        let form = form.text("receiver_id", ada.id.clone()).text("content", *blank);
        assert_eq!(ada.form("/messages/upload", form).await.expect(201)["content"], *blank);
    }
    // Something that shows is enough, and all of it is kept.
    let kept = "\u{200b}\u{202e}.\u{3164}";
    let id = ada.send(&ada.id, kept).await;
    assert_eq!(ada.get(&format!("/messages/{id}")).await.expect(200)["content"], kept);
}

#[actix_web::test]
async fn names_hide_nothing() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let group = ada.group("other", "public").await;
    for hiding in HIDING {
        ada.post("/groups", json!({ "name": hiding })).await.refused(400, Some("name"));
        ada.put(&format!("/groups/{group}"), json!({ "name": hiding })).await.refused(400, Some("name"));
        ada.post("/group/create", json!({ "group": hiding })).await.refused(400, Some("group"));
        ada.patch("/me", json!({ "display_name": hiding })).await.refused(400, Some("display_name"));
    }
    for fine in [
        "👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}",
        "می\u{200c}خواهم",
        "❤\u{fe0f}\u{200d}🔥",
        "שלום",
        "क\u{94d}\u{200d}ष",
        "日本\u{3000}語",
    ] {
        assert_eq!(ada.patch("/me", json!({ "display_name": fine })).await.expect(200)["display_name"], fine);
        assert_eq!(ada.post("/groups", json!({ "name": fine })).await.expect(201)["name"], fine);
    }
}
