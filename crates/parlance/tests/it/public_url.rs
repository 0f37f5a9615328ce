//! A server below a path: every URL that it gives out, and the web client there.

use crate::harness::{Driver, Host, Process, Proxy, Server, User};
use crate::live::client::Socket;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use wire::PublicUrl;

/// The smallest PNG that a browser draws: one pixel.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";
const ENTER: &str = "\u{E007}";

async fn server(url: &str) -> Server {
    let public_url = PublicUrl::parse(url).unwrap();
    Server::with(|config| config.http.public_url = public_url).await
}

async fn send_picture(from: &User, to: &str, caption: &str) -> Value {
    let part = Part::bytes(PIXEL.to_vec()).file_name("pixel.png");
    let form = Form::new().text("receiver_id", to.to_owned()).text("content", caption.to_owned()).part("file", part);
    from.form("/messages/upload", form).await.expect(201)
}

/// The addresses of files anywhere in a value.
fn urls(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("url").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(urls)).collect()
        }
        Value::Array(items) => items.iter().flat_map(urls).collect(),
        _ => Vec::new(),
    }
}

/// Looks at all that an address of a file is in: `path` stands before each of them.
async fn look_at_files(server: &Server, path: &str) {
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let hello = Socket::open(&bob).await;
    let mut socket = Socket::open(&bob).await;
    let sent = send_picture(&ada, &bob.id, "look").await;
    let (id, conversation) = (sent["id"].as_str().unwrap(), sent["conversation_id"].as_str().unwrap());
    let file = sent["file_id"].as_str().unwrap();
    let expected = format!("{path}/uploads/{file}/pixel.png");
    let uploaded = Form::new().part("file", Part::bytes(b"x".to_vec()).file_name("x.txt"));
    let uploaded = ada.form("/upload", uploaded).await.expect(201);
    let own = format!("{path}/uploads/{}/x.txt", uploaded["id"].as_str().unwrap());
    assert_eq!(urls(&uploaded), [own.as_str()]);

    let mut told = vec![sent.clone()];
    for asked in [
        format!("/messages/{id}"),
        format!("/messages?receiver_id={}", ada.id),
        "/conversations".to_owned(),
        format!("/conversations/{conversation}/changes"),
    ] {
        told.push(bob.get(&asked).await.expect(200));
    }
    told.push(ada.put(&format!("/messages/{id}"), json!({ "content": "look here" })).await.expect(200));
    let body = json!({ "receiver_id": ada.id, "type": "image", "file_id": file, "client_id": "k" });
    for status in [201, 200] {
        told.push(bob.post("/messages", body.clone()).await.expect(status));
    }
    told.push(socket.op("send", body.clone()).await);
    // As it happens, and as who comes later is told of it.
    for event in ["message.created", "message.updated", "message.created"] {
        told.push(socket.expect(event).await);
    }
    let mut late = Socket::since(&bob, &hello.cursor).await;
    for _ in 0..2 {
        told.push(late.next_of_messages().await);
    }
    told.push(first_message_of_stream(&bob, &hello.cursor).await);
    for value in &told {
        assert_eq!(urls(value), [expected.as_str()], "{value}");
    }
    let export = ada.get("/me/export").await.expect(200);
    let (mut all, mut each) = (urls(&export), vec![own, expected.clone(), expected]);
    all.sort();
    each.sort();
    assert_eq!(all, each, "{export}");
}

/// The first message that an event stream tells of.
async fn first_message_of_stream(user: &User, cursor: &str) -> Value {
    let request = user.request(reqwest::Method::GET, "/events").header("last-event-id", cursor);
    let (mut stream, mut text) = (request.send().await.unwrap(), String::new());
    loop {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().expect("the stream ended")).unwrap());
        let whole = text.split_inclusive("\n\n").filter(|event| event.ends_with("\n\n"));
        let mut data = whole.filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
        if let Some(data) = data.find(|data| data.contains("message.")) {
            return serde_json::from_str(data).unwrap();
        }
    }
}

/// Follows the first link of each list.
async fn look_at_links(server: &Server, path: &str) {
    let ada = server.log_in("ada", "password of ada").await;
    let bob = server.log_in("bob", "password of bob").await;
    let group = ada.group("ours", "public").await;
    ada.group("mine", "public").await;
    ada.add(&group, &bob, "member").await;
    for name in ["one", "two"] {
        ada.post("/group/send", json!({ "group": "ours", "content": name })).await.expect(200);
        ada.post("/broadcast/send", json!({ "content": name })).await.expect(200);
    }
    let last = ada.get(&format!("/messages?group_id={group}&before=latest")).await.expect(200);
    let seen = last.as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
    let carol = server.user("carol").await;
    ada.add(&group, &carol, "member").await;
    for reader in [&bob, &carol] {
        reader.post(&format!("/messages/{seen}/seen"), json!({})).await.expect(200);
    }
    for asked in [
        "/users?limit=1".to_owned(),
        "/sessions?limit=1".to_owned(),
        "/groups?limit=1".to_owned(),
        "/conversations?limit=1".to_owned(),
        format!("/groups/{group}/members?limit=1"),
        format!("/messages?group_id={group}&limit=1"),
        format!("/messages?group_id={group}&before=latest&limit=1"),
        format!("/messages/{seen}/seen?limit=1"),
        "/dm/history?user=bob&limit=1".to_owned(),
        "/group/history?group=ours&limit=1".to_owned(),
        "/broadcast/history?limit=1".to_owned(),
    ] {
        let first = ada.get(&asked).await;
        let next = first.next().unwrap_or_else(|| panic!("no second page of {asked}"));
        let ours = next.strip_prefix(path).filter(|next| next.starts_with(asked.split('?').next().unwrap()));
        let ours = ours.unwrap_or_else(|| panic!("{asked} goes on at {next}"));
        assert_ne!(ada.get(ours).await.expect(200), first.expect(200), "{asked}");
    }
}

/// Where the documentation is, and where it says that the API is.
async fn look_at_documents(server: &Server, path: &str) {
    let anyone = server.anyone();
    let direct = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for docs in ["/docs", "/docs/"] {
        let answer = direct.get(format!("http://{}{docs}", anyone.address())).send().await.unwrap();
        let location = answer.headers()["location"].to_str().unwrap();
        assert_eq!((answer.status().as_u16(), location), (308, &*format!("{path}/docs/index.html")));
    }
    let document = anyone.get("/openapi.json").await.expect(200);
    let servers = if path.is_empty() { Value::Null } else { json!([{ "url": path }]) };
    assert_eq!(document["servers"], servers);
    let page = anyone.get("/docs/swagger-initializer.js").await;
    let page = String::from_utf8(page.body).unwrap();
    assert!(page.contains("\"../openapi.json\""), "{page}");
}

#[actix_web::test]
async fn the_path_stands_before_every_address_and_without_the_key_there_is_none() {
    for (url, path) in [("https://example.org/chat/", "/chat"), ("https://example.org", "")] {
        let server = server(url).await;
        look_at_files(&server, path).await;
        look_at_links(&server, path).await;
        look_at_documents(&server, path).await;
    }
    look_at_files(&Server::start().await, "").await;
}

#[actix_web::test]
async fn the_program_takes_it_and_prints_it() {
    let directory = tempfile::tempdir().unwrap();
    let given = [("PARLANCE_PUBLIC_URL", "https://example.org/chat")];
    let printed = Process::run(directory.path(), &["openapi"], &given);
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(printed["servers"], json!([{ "url": "/chat" }]));
    let running = Process::start(directory.path(), &[], &given);
    assert_eq!(running.client.get("/openapi.json").await.expect(200), printed);
    for bad in ["example.org", "https://hush@example.org/", "https://example.org/?hush", "https://example.org/#hush"] {
        for command in ["serve", "openapi", "doctor", "migrate"] {
            let refused = Process::run(directory.path(), &[command], &[("PARLANCE_PUBLIC_URL", bad)]);
            let said =
                String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
            assert_eq!(refused.status.code(), Some(1), "{command} {bad}: {said}");
            assert!(said.contains("PARLANCE_PUBLIC_URL") && !said.contains("hush"), "{said}");
        }
    }
}

#[actix_web::test]
async fn pages_of_the_public_address_connect_and_others_do_not() {
    let server = server("https://example.org/chat").await;
    let ada = server.user("ada").await;
    for (origin, status) in
        [("https://example.org", 200), ("http://example.org", 403), ("https://evil.example.org", 403)]
    {
        let mut answer = ada.request(reqwest::Method::HEAD, "/events");
        answer = answer.header("origin", origin);
        assert_eq!(answer.send().await.unwrap().status(), status, "{origin}");
    }
}

/// How the client is reached.
struct Way {
    /// Whether the server knows where it is reached.
    known: bool,
    host: Host,
    /// What the page is opened by, behind the proxy's address and the path; `None`: straight at the server.
    page: Option<&'static str>,
}

#[actix_web::test]
async fn the_web_client_works_wherever_a_proxy_puts_it() {
    let Some(driver) = Driver::start() else { return };
    let ada = driver.browser().await;
    for Way { known, host, page } in [
        Way { known: true, host: Host::Replaced, page: Some("/") },
        Way { known: true, host: Host::Kept, page: Some("") },
        Way { known: false, host: Host::Kept, page: Some("/") },
        Way { known: false, host: Host::Kept, page: Some("?a=b") },
        Way { known: true, host: Host::Kept, page: None },
    ] {
        let mut proxy = Proxy::bind().await;
        let public_url = if known { PublicUrl::parse(&proxy.url()).unwrap() } else { PublicUrl::default() };
        let server = Server::with(|config| config.http.public_url = public_url).await;
        proxy.serve(server.anyone().address(), host);
        let bob = server.user("bob").await;
        let base = match page {
            Some(_) => proxy.url(),
            None => format!("http://{}", server.anyone().address()),
        };
        ada.open(&format!("{base}{}", page.unwrap_or("/"))).await;
        ada.click(".tabs button:last-child").await;
        ada.write("[name=username]", "ada").await;
        ada.write("[name=password]", &format!("password of ada{ENTER}")).await;
        // Which the live connection says.
        ada.until("document.querySelector('.sidebar:not(.offline)')").await;
        ada.until("document.querySelector('.logo') === null").await;

        // What is sent arrives, and what is answered shows at once, pictures too.
        ada.write(".search input", "bob").await;
        ada.shows(".row-title", "bob").await;
        ada.write(".search input", ENTER).await;
        ada.shows(".who h2", "bob").await;
        ada.write(".composer textarea", &format!("from below{ENTER}")).await;
        ada.shows(".message.own:not(.pending) .prose", "from below").await;
        let id = bob.get("/users?q=ada").await.expect(200)[0]["id"].as_str().unwrap().to_owned();
        let got = bob.get(&format!("/messages?receiver_id={id}")).await.expect(200);
        assert_eq!(got[0]["content"], "from below");
        bob.send(&id, "an answer").await;
        ada.shows(".message.theirs .prose", "an answer").await;
        send_picture(&bob, &id, "look").await;
        ada.until("document.querySelector('.picture:not(.loading) img')?.naturalWidth === 1").await;
        // A browser looks ahead for files, beside the path perhaps, before the page can tell it where it is.
        let mut complaints = ada.complaints().await;
        complaints.retain(|line| line.contains(&base));
        assert!(complaints.is_empty(), "{complaints:?}");

        // The documentation tells of the same server, under both of its addresses.
        for docs in if known == page.is_some() { &["/docs", "/docs/"][..] } else { &["/docs/index.html"] } {
            ada.open(&format!("{base}{docs}")).await;
            ada.until("document.querySelectorAll('.opblock').length > 50").await;
            // Swagger UI tries to style itself, which its policy does not let it do.
            ada.complaints().await;
        }
    }
}
