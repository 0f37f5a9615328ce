//! `/upload`, `/messages/upload` and `/uploads`: files in and out.

use crate::harness::{Answer, NOWHERE, Server, User, ids};
use crate::live::client::TIMEOUT;
use futures_util::future::join_all;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\nIDATx\x9cc`\0\0\0\x02\0\x01T\xa2O_\0\0\0\0IEND\xaeB`\x82";
const HTML: &[u8] = b"<!DOCTYPE html><script>alert(document.cookie)</script>";
const SVG: &[u8] = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>";
/// The largest file that the test servers take.
const MAX_FILE_BYTES: usize = 1024 * 1024;

fn file(name: &str, content: &[u8]) -> Form {
    Form::new().part("file", Part::bytes(content.to_vec()).file_name(name.to_owned()))
}

/// Uploads a file by itself.
async fn upload(user: &User, name: &str, content: &[u8]) -> Value {
    user.form("/upload", file(name, content)).await.expect(201)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

/// What lies in the directory of uploads, finished or not.
fn blobs(server: &Server) -> Vec<PathBuf> {
    fn below(directory: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
    }
    below(&server.directory().join("uploads"))
}

/// Waits until there are so many blobs.
async fn until_blobs(server: &Server, count: usize) {
    let begun = Instant::now();
    while blobs(server).len() != count {
        assert!(begun.elapsed() < TIMEOUT, "there are {:?}", blobs(server));
        // A directory does not announce changes, so the test polls.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

#[actix_web::test]
async fn an_uploaded_file_is_described_by_its_bytes() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let picture = upload(&ada, "a.txt", PNG).await;
    assert_eq!(picture["name"], "a.txt");
    assert_eq!(picture["size"], PNG.len());
    assert_eq!(picture["type"], "image/png");
    assert_eq!(picture["sha256"], "42e365e7e85c4bb17caf589766941030cf166507c9e4303a946fbddec91e2a8f");
    assert_eq!(picture["url"], format!("/uploads/{}/a.txt", text(&picture, "id")));
    assert_eq!(text(&picture, "created_at").len(), "2026-07-06T05:00:00.000000Z".len());
    for (name, content, media_type) in [
        ("a.png", &b"no picture at all"[..], "text/plain"),
        ("a.png", b"\0\x01\x02", "application/octet-stream"),
        ("a.png", SVG, "text/plain"),
        ("a.png", HTML, "text/html"),
        ("a", b"", "text/plain"),
    ] {
        assert_eq!(upload(&ada, name, content).await["type"], media_type);
    }
}

#[actix_web::test]
async fn a_file_comes_back_as_it_was() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let largest = noise(MAX_FILE_BYTES);
    for content in [&b""[..], b"\r\n--", PNG, &largest] {
        let file = upload(&ada, "a.png", content).await;
        assert_eq!(file["size"], content.len());
        let given = ada.get(text(&file, "url")).await;
        assert_eq!(given.status, 200, "{given}");
        assert!(given.body == content);
        assert_eq!(given.header("content-length"), Some(content.len().to_string().as_str()));
    }
}

#[actix_web::test]
async fn a_name_is_for_people_and_decides_nothing() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for (name, kept) in [
        ("naïve 🙂 (1).txt", "naïve 🙂 (1).txt"),
        ("../../../etc/passwd", "passwd"),
        ("..", "file"),
        ("", "file"),
        ("a\u{202e}gnp.exe", "agnp.exe"),
        ("100%25;x=\"y\".txt", "100%25;x=\"y\".txt"),
    ] {
        let file = upload(&ada, name, PNG).await;
        assert_eq!(file["name"], kept);
        let id = text(&file, "id");
        for url in [text(&file, "url"), &format!("/uploads/{id}/other.html"), &format!("/uploads/{id}/%ff%00")] {
            let given = ada.get(url).await;
            assert_eq!((given.status, given.header("content-type")), (200, Some("image/png")), "{url}");
        }
    }
    let file = upload(&ada, "naïve \"x\".txt", b"x").await;
    let disposition = r#"attachment; filename="na_ve _x_.txt"; filename*=UTF-8''na%C3%AFve%20%22x%22.txt"#;
    assert_eq!(ada.get(text(&file, "url")).await.header("content-disposition"), Some(disposition));
}

#[actix_web::test]
async fn no_browser_runs_a_file() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for (content, how) in [
        (PNG, "inline"),
        (b"GIF89a\x01\0\x01\0", "inline"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "inline"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "inline"),
        (HTML, "attachment"),
        (SVG, "attachment"),
        (b"%PDF-1.7", "attachment"),
        (b"plain", "attachment"),
    ] {
        let url = upload(&ada, "a.png", content).await["url"].as_str().unwrap().to_owned();
        let given = ada.get(&url).await;
        let tag = given.header("etag").unwrap().to_owned();
        let known = ada.raw("GET", &url, &[("if-none-match", &tag)], "").await;
        assert_eq!(known.status, 304);
        for answer in [&given, &known] {
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("content-security-policy"), Some("sandbox"));
            assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
        }
        assert_eq!(given.header("content-disposition"), Some(format!("{how}; filename=\"a.png\"").as_str()));
    }
}

#[actix_web::test]
async fn parts_and_versions_can_be_asked_for() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let content = noise(200_000);
    let file = upload(&ada, "a", &content).await;
    let (url, tag) = (text(&file, "url"), format!("\"{}\"", text(&file, "sha256")));
    let get = async |headers: &[(&str, &str)]| ada.raw("GET", url, headers, "").await;

    let whole = get(&[]).await;
    assert_eq!((whole.header("accept-ranges"), whole.header("etag")), (Some("bytes"), Some(tag.as_str())));
    for (range, start, end) in [
        ("bytes=0-0", 0, 1),
        ("bytes=65535-131072", 65_535, 131_073),
        ("bytes=199999-", 199_999, 200_000),
        ("bytes=-7", 199_993, 200_000),
    ] {
        for headers in [&[("range", range)][..], &[("range", range), ("if-range", &tag)]] {
            let part = get(headers).await;
            assert_eq!(part.status, 206, "{part}");
            assert!(part.body == content[start..end], "{range}");
            let content_range = format!("bytes {start}-{}/200000", end - 1);
            assert_eq!(part.header("content-range"), Some(content_range.as_str()));
            assert_eq!(part.header("etag"), Some(tag.as_str()));
        }
    }
    for headers in [
        &[("range", "bytes=0-1,5-6")][..],
        &[("range", "bytes=5-2")],
        &[("range", "lines=1-2")],
        &[("range", "bytes=0-1"), ("if-range", "\"other\"")],
        &[("if-none-match", "\"other\"")],
    ] {
        let answer = get(headers).await;
        assert_eq!((answer.status, answer.body.len()), (200, content.len()), "{headers:?}");
    }
    let beyond = get(&[("range", "bytes=200000-")]).await;
    assert_eq!(beyond.header("content-range"), Some("bytes */200000"));
    beyond.refused(416, None);
    // Conditions are asked in their order: whether it is the one that is meant, whether it is known, which part of it.
    let other = "\"other\"";
    let weak = format!("W/{tag}");
    for tags in [other, &weak, "nonsense", ""] {
        for more in [("range", "bytes=0-1"), ("range", "bytes=200000-"), ("if-none-match", &tag), ("if-range", &tag)] {
            get(&[("if-match", tags), more]).await.refused(412, None);
            let head = ada.raw("HEAD", url, &[("if-match", tags), more], "").await;
            assert_eq!((head.status, head.body.len()), (412, 0), "{tags}");
        }
    }
    for tags in ["*", &tag, &format!("{other}, {tag}")] {
        assert_eq!(get(&[("if-match", tags)]).await.status, 200, "{tags}");
        assert_eq!(get(&[("if-match", tags), ("if-none-match", &weak)]).await.status, 304, "{tags}");
        let part =
            get(&[("if-match", tags), ("if-none-match", other), ("if-range", &tag), ("range", "bytes=0-1")]).await;
        assert_eq!((part.status, part.body.len()), (206, 2), "{tags}");
        get(&[("if-match", tags), ("range", "bytes=200000-")]).await.refused(416, None);
    }
    let nowhere = format!("/uploads/{NOWHERE}/a");
    ada.raw("GET", &nowhere, &[("if-match", "*")], "").await.refused(404, None);
    let known = get(&[("if-none-match", &tag)]).await;
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, Some(tag.as_str())));

    let head = ada.raw("HEAD", url, &[("range", "bytes=0-1")], "").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("200000")));
    assert_eq!(head.header("etag"), Some(tag.as_str()));
    assert_eq!(ada.raw("HEAD", &format!("/uploads/{NOWHERE}/a"), &[], "").await.status, 404);
}

/// Sends a file to somebody, or into a group.
async fn send(from: &User, to: (&'static str, &str), name: &str, content: &[u8]) -> Answer {
    from.form("/messages/upload", file(name, content).text(to.0, to.1.to_owned())).await
}

#[actix_web::test]
async fn a_file_goes_with_a_message() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let form = file("a.txt", PNG).text("content", " see | \"this\" 🙂\r\n").text("receiver_id", bob.id.clone());
    let message = ada.form("/messages/upload", form.text("sender_id", ada.id.clone())).await.expect(201);
    assert_eq!((&message["type"], &message["content"]), (&json!("image"), &json!(" see | \"this\" 🙂\r\n")));
    assert_eq!(message["file"]["type"], "image/png");
    assert_eq!(message["file_id"], message["file"]["id"]);
    let listed = bob.get(&format!("/messages?receiver_id={}", ada.id)).await.expect(200);
    assert_eq!(listed, json!([message]));
    assert_eq!(bob.get(text(&message["file"], "url")).await.body, PNG);

    let group = ada.group("us", "private").await;
    let message = send(&ada, ("group_id", &group), "a.png", HTML).await.expect(201);
    assert_eq!(
        (&message["type"], &message["content"], &message["group_id"]),
        (&json!("file"), &json!(""), &json!(group))
    );
}

#[actix_web::test]
async fn a_file_is_read_by_who_reads_its_message() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let status = async |reader: &User, url: &str| reader.get(url).await.status;

    let message = send(&ada, ("receiver_id", &bob.id), "a", b"secret").await.expect(201);
    let url = text(&message["file"], "url");
    assert_eq!((status(&ada, url).await, status(&bob, url).await, status(&eve, url).await), (200, 200, 404));
    server.anyone().get(url).await.refused(401, None);
    ada.delete(&format!("/messages/{}", text(&message, "id")), json!({})).await.expect(204);
    assert_eq!((status(&ada, url).await, status(&bob, url).await), (200, 404));

    let (private, public) = (ada.group("private", "private").await, ada.group("public", "public").await);
    ada.add(&private, &bob, "member").await;
    let message = send(&ada, ("group_id", &private), "a", b"secret").await.expect(201);
    let url = text(&message["file"], "url");
    assert_eq!((status(&bob, url).await, status(&eve, url).await), (200, 404));
    bob.post(&format!("/groups/{private}/leave"), json!({})).await.expect(204);
    assert_eq!(status(&bob, url).await, 404);
    // Once more, where all may read it.
    let again = json!({"group_id": public, "type": "file", "file_id": message["file_id"]});
    ada.post("/messages", again.clone()).await.expect(201);
    assert_eq!((status(&bob, url).await, status(&eve, url).await), (200, 200));

    let own = upload(&ada, "a", b"secret").await;
    let url = text(&own, "url");
    assert_eq!((status(&ada, url).await, status(&bob, url).await), (200, 404));
    let stolen = json!({"receiver_id": eve.id, "type": "file", "file_id": own["id"]});
    bob.post("/messages", stolen).await.refused(404, None);
    ada.get(&format!("/uploads/{NOWHERE}/a")).await.refused(404, None);
    ada.get("/uploads/a/a").await.refused(400, Some("id"));
}

#[actix_web::test]
async fn a_refused_upload_leaves_nothing() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = bob.group("bobs", "private").await;
    let to_bob = || file("a", b"x").text("receiver_id", bob.id.clone());
    let long = "x".repeat(64 * 1024 + 1);
    for (form, status, field) in [
        (Form::new().text("receiver_id", bob.id.clone()), 400, Some("file")),
        (to_bob().part("file", Part::bytes(b"y".to_vec())), 400, Some("file")),
        (file("a", b"x"), 400, Some("receiver_id")),
        (to_bob().text("group_id", group.clone()), 400, Some("receiver_id")),
        (file("a", b"x").text("receiver_id", "bob"), 400, Some("receiver_id")),
        (file("a", b"x").text("group_id", "us"), 400, Some("group_id")),
        (to_bob().text("content", "a\0"), 400, Some("content")),
        (to_bob().part("content", Part::bytes(b"\xff".to_vec())), 400, Some("content")),
        (to_bob().text("content", "x".repeat(4097)), 400, Some("content")),
        (to_bob().text("content", long), 413, Some("content")),
        (to_bob().text("client_id", "k".repeat(65)), 400, Some("client_id")),
        (to_bob().text("sender_id", "ada"), 400, Some("sender_id")),
        (to_bob().text("sender_id", bob.id.clone()), 403, None),
        // The server reports malformed input before it checks permissions and existence.
        (to_bob().text("sender_id", bob.id.clone()).text("content", "\0"), 400, Some("content")),
        (file("a", b"x").text("receiver_id", NOWHERE).text("sender_id", bob.id.clone()), 404, None),
        (file("a", &noise(MAX_FILE_BYTES)).text("receiver_id", NOWHERE), 404, None),
        (file("a", b"x").text("group_id", group.clone()), 404, None),
        (file("a", &noise(MAX_FILE_BYTES + 1)).text("receiver_id", bob.id.clone()), 413, None),
        (file("a", &noise(5 * MAX_FILE_BYTES)).text("receiver_id", bob.id.clone()), 413, None),
    ] {
        ada.form("/messages/upload", form).await.refused(status, field);
        assert!(blobs(&server).is_empty());
    }
    for (form, status, field) in [
        (Form::new().text("other", "x"), 400, Some("file")),
        (file("a", b"x").part("file", Part::bytes(b"y".to_vec())), 400, Some("file")),
        (file("a", &noise(MAX_FILE_BYTES + 1)), 413, None),
        (file("a", &noise(5 * MAX_FILE_BYTES)), 413, None),
    ] {
        ada.form("/upload", form).await.refused(status, field);
        assert!(blobs(&server).is_empty());
    }
    assert_eq!(ada.get("/conversations").await.expect(200), json!([]));
}

#[actix_web::test]
async fn what_is_no_form_is_refused() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=b");
    let whole = [&b"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n"[..], PNG, b"\r\n--b--\r\n"].concat();
    for path in ["/upload", "/messages/upload"] {
        ada.raw("POST", path, &[], "x").await.refused(415, None);
        ada.post(path, json!({"file": "x"})).await.refused(415, None);
        for length in [0, 10, 60, 70, whole.len() - 10, whole.len() - 5] {
            ada.raw("POST", path, &[FORM], &whole[..length]).await.refused(400, None);
        }
        ada.raw("POST", path, &[("content-type", "multipart/form-data")], &whole[..]).await.refused(400, None);
        // The token is looked at before the form.
        server.anyone().raw("POST", path, &[], "x").await.refused(401, None);
        server.anyone().form(path, file("a", b"x")).await.refused(401, None);
    }
    assert_eq!(ada.get("/upload").await.header("allow"), Some("POST"));
    ada.get("/upload").await.refused(405, None);
    assert!(blobs(&server).is_empty());
}

#[actix_web::test]
async fn a_retry_sends_once() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let send = async |content: &[u8], caption: &'static str| {
        let form = file("a", content).text("receiver_id", bob.id.clone()).text("content", caption);
        let request = ada.request(Method::POST, "/messages/upload").header("idempotency-key", "k").multipart(form);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let sent = join_all((0..8).map(|_| send(PNG, "see"))).await;
    let message = &sent[0].1;
    assert!(sent.iter().all(|(_, other)| other == message), "{sent:?}");
    assert_eq!(sent.iter().filter(|(status, _)| *status == 201).count(), 1);
    assert_eq!(sent.iter().filter(|(status, _)| *status == 200).count(), 7);
    for (content, caption) in [(HTML, "see"), (PNG, "look")] {
        assert_eq!(send(content, caption).await.0, 409);
    }
    let by_client_id = file("b", PNG).text("receiver_id", bob.id.clone()).text("content", "see").text("client_id", "k");
    assert_eq!(ada.form("/messages/upload", by_client_id).await.expect(200)["id"], message["id"]);
    assert_eq!(blobs(&server).len(), 1);
    assert_eq!(ids(&bob.get(&format!("/messages?receiver_id={}", ada.id)).await.expect(200)), [text(message, "id")]);
    assert_eq!(bob.get(text(&message["file"], "url")).await.body, PNG);

    ada.delete(&format!("/messages/{}", text(message, "id")), json!({})).await.expect(204);
    assert_eq!(send(PNG, "see").await.0, 409);
    assert_eq!(blobs(&server).len(), 1);
}

/// Begins an upload of that many bytes in chunks, and sends the first of them.
async fn begin_upload(user: &User, path: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(user.address()).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: multipart/form-data; boundary=b\r\n\r\n",
        user.token().unwrap()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    send_chunk(&mut stream, b"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n").await.unwrap();
    send_chunk(&mut stream, bytes).await.unwrap();
    stream
}

async fn send_chunk(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(&[format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()).await
}

#[actix_web::test]
async fn a_file_is_stored_while_it_arrives_and_forgotten_when_the_client_goes_away() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for path in ["/upload", "/messages/upload"] {
        let stream = begin_upload(&ada, path, &noise(600_000)).await;
        until_blobs(&server, 1).await;
        drop(stream);
        until_blobs(&server, 0).await;
    }
}

#[actix_web::test]
async fn an_upload_without_end_is_refused_when_it_is_too_large() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut stream = begin_upload(&ada, "/upload", &noise(600_000)).await;
    until_blobs(&server, 1).await;
    send_chunk(&mut stream, &noise(600_000)).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
    assert!(blobs(&server).is_empty());
}

#[actix_web::test]
async fn an_upload_that_says_that_it_is_too_large_is_not_waited_for() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut stream = TcpStream::connect(ada.address()).await.unwrap();
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 99999999999\r\n\
         Content-Type: multipart/form-data; boundary=b\r\n\r\n",
        ada.token().unwrap()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
}
