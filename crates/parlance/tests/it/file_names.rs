//! File names as clients really send them: whole bodies, byte by byte.

use crate::harness::{NOWHERE, Process, Server, User};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW");
const BOUNDARY: &str = "------WebKitFormBoundary7MA4YWxkTrZu0gW";

/// A form as browsers write it: the file after a text.
fn form(parameters: &[u8], receiver: &str) -> Vec<u8> {
    let text = format!("{BOUNDARY}\r\nContent-Disposition: form-data; name=\"receiver_id\"\r\n\r\n{receiver}\r\n");
    let file = format!("{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"");
    let rest = format!("\r\nContent-Type: application/pdf\r\n\r\nbytes\r\n{BOUNDARY}--\r\n");
    [text.as_bytes(), file.as_bytes(), parameters, rest.as_bytes()].concat()
}

/// The file that comes of it, by either way.
async fn sent(user: &User, parameters: &[u8]) -> Value {
    let body = form(parameters, &user.id);
    let alone = user.raw("POST", "/upload", &[FORM], body.clone()).await.expect(201);
    let message = user.raw("POST", "/messages/upload", &[FORM], body).await.expect(201);
    assert_eq!(message["file"]["name"], alone["name"]);
    message["file"].clone()
}

#[actix_web::test]
async fn a_name_is_taken_as_clients_send_it_and_comes_back() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let long = format!("; filename=\"{}.tar.gz\"", "e\u{301}".repeat(100));
    let kept = format!("{}.tar.gz", "e\u{301}".repeat(82));
    for (parameters, name, disposition) in [
        // Chrome, Firefox, requests, fetch, curl.
        (
            "; filename=\"say %22hi%22 100%25%0D%0A.txt\"",
            "say \"hi\" 100%25 .txt",
            "filename=\"say _hi_ 100_25 .txt\"; filename*=UTF-8''say%20%22hi%22%20100%2525%20.txt",
        ),
        (
            "; filename=\"naïve 🙂 שלום.txt\"",
            "naïve 🙂 שלום.txt",
            "filename=\"na_ve _ ____.txt\"; filename*=UTF-8''na%C3%AFve%20%F0%9F%99%82%20%D7%A9%D7%9C%D7%95%D7%9D.txt",
        ),
        // Old ones.
        ("; filename=\"C:\\dir\\a.txt\"", "a.txt", "filename=\"a.txt\""),
        ("; filename=\"C:\\\\dir\\\\a.txt\"", "a.txt", "filename=\"a.txt\""),
        ("; filename=\"dir/a.txt\"", "a.txt", "filename=\"a.txt\""),
        ("; filename=\"a\\\"b.txt\"", "a\"b.txt", "filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("; filename=\"a\r\nb\nc.txt\"", "a b c.txt", "filename=\"a b c.txt\""),
        ("; filename=\"a\u{7}\u{1b}b\u{7f}.txt\"", "ab.txt", "filename=\"ab.txt\""),
        // Some libraries.
        ("; filename*=utf-8''na%C3%AFve.txt", "naïve.txt", "filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
        ("; filename=\"x\"; filename*=\"UTF-8''a%20b.txt\"", "a b.txt", "filename=\"a b.txt\""),
        ("; filename=\"x.txt\"; filename*=UTF-8''%zz", "x.txt", "filename=\"x.txt\""),
        ("; filename=\"x.txt\"; filename*=nonsense", "x.txt", "filename=\"x.txt\""),
        ("; filename=x.txt", "x.txt", "filename=\"x.txt\""),
        // Invisible names.
        ("; filename=\"\"", "file", "filename=\"file\""),
        ("; filename=\"\u{200b}\u{3164}\"", "file", "filename=\"file\""),
        ("; filename=\"dir/\"", "file", "filename=\"file\""),
        ("", "file", "filename=\"file\""),
        ("; filename=\"a\u{202e}fdp.exe\"", "afdp.exe", "filename=\"afdp.exe\""),
        (&long, &kept, ""),
    ] {
        let file = sent(&ada, parameters.as_bytes()).await;
        assert_eq!(file["name"], name, "{parameters}");
        let given = ada.get(file["url"].as_str().unwrap()).await;
        assert_eq!((given.status, &given.body[..]), (200, &b"bytes"[..]), "{parameters}");
        let told = given.header("content-disposition").unwrap();
        assert!(told.starts_with("attachment; filename=\"") && told.ends_with(disposition), "{told}");
        let export = ada.get("/me/export").await.expect(200);
        let known = export["files"].as_array().unwrap().iter().find(|known| known["id"] == file["id"]);
        assert_eq!(known.unwrap()["name"], name);
    }
}

#[actix_web::test]
async fn what_is_no_text_is_refused_and_its_field_named() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for parameters in [
        &b"; filename=\"na\xefve.txt\""[..],
        b"; filename=\"a\xc3\"",
        b"; filename=\"a\0b\"",
        b"; filename=\"\xed\xa0\x80\"",
        b"; filename=\"a\"; filename*=UTF-8''a%00b",
    ] {
        for path in ["/upload", "/messages/upload"] {
            ada.raw("POST", path, &[FORM], form(parameters, &ada.id)).await.refused(400, Some("file"));
        }
    }
    for field in ["receiver_id", "group_id", "sender_id", "content", "client_id", "other"] {
        for bad in [&b"\xff"[..], b"a\0b", b"\xc3"] {
            let text = format!("{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n");
            let body = [text.as_bytes(), bad, b"\r\n", &form(b"; filename=\"a\"", NOWHERE)].concat();
            ada.raw("POST", "/messages/upload", &[FORM], body).await.refused(400, Some(field));
        }
    }
    assert_eq!(ada.get("/me/export").await.expect(200)["files"], json!([]));
}

/// Runs a client that is on most machines; `None`, loudly, where it is not.
fn run(program: &str, arguments: &[&str], input: &str) -> Option<String> {
    let mut command = Command::new(program);
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("{program} is not there: left out");
        return None;
    };
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        eprintln!("{program} does not do: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(String::from_utf8(output.stdout).unwrap())
}

const ODD: &[&str] = &["say \"hi\".txt", "100%25 %41.txt", "naïve 🙂.txt", "a;b=c.txt", "שלום.pdf", "'quoted'.txt"];

const REQUESTS: &str = "
import json, sys, requests
url, token, names = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
ask = lambda name: requests.post(url, headers={'Authorization': 'Bearer ' + token}, files={'file': (name, b'x')})
print(json.dumps([ask(name).json()['name'] for name in names]))
";

const FETCH: &str = "
const [url, token, names] = process.argv.slice(1);
const kept = [];
for (const name of JSON.parse(names)) {
  const body = new FormData();
  body.append('file', new Blob(['x']), name);
  const answer = await fetch(url, { method: 'POST', headers: { authorization: 'Bearer ' + token }, body });
  kept.push((await answer.json()).name);
}
console.log(JSON.stringify(kept));
";

#[actix_web::test]
async fn real_clients_names_come_through() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let (url, token) = (format!("http://{}/upload", ada.address()), ada.token().unwrap());
    let header = format!("Authorization: Bearer {token}");
    let directory = tempfile::tempdir().unwrap();
    for name in ODD {
        std::fs::write(directory.path().join(name), "x").unwrap();
        let path = directory.path().join(name).display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
        let file = format!("file=@\"{path}\"");
        for escape in [&[][..], &["--form-escape"]] {
            let arguments = [&["-sS", "-H", &header, "-F", &file], escape, &[&url]].concat();
            let Some(answer) = run("curl", &arguments, "") else { continue };
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer["name"], *name, "{answer}");
        }
    }
    let names = serde_json::to_string(ODD).unwrap();
    for (program, arguments) in [
        ("python3", ["-c", REQUESTS, &url, token, &names].as_slice()),
        ("node", ["--input-type=module", "-e", FETCH, &url, token, &names].as_slice()),
    ] {
        let Some(kept) = run(program, arguments, "") else { continue };
        assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), json!(ODD), "{program}");
    }
}

#[actix_web::test]
async fn a_backup_keeps_names() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path(), &["serve"], &[]);
    let account = json!({ "username": "ada", "password": "password" });
    server.client.post("/signup", account.clone()).await.expect(201);
    let ada = User::new(&server.client, &server.client.post("/login", account).await.expect(200), "password");
    let mut files = Vec::new();
    for name in ODD {
        let parameters = format!("; filename=\"{}\"", name.replace('"', "%22"));
        files.push(sent(&ada, parameters.as_bytes()).await);
    }
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    let backup = directory.path().join("b.tar").display().to_string();
    assert!(Process::run(directory.path(), &["backup", &backup, "--with-secret"], &[]).status.success());
    let place = tempfile::tempdir().unwrap();
    assert!(Process::run(place.path(), &["restore", &backup], &[]).status.success());
    let server = Process::start(place.path(), &["serve"], &[]);
    let ada = ada.at(&server.client);
    for (file, name) in files.iter().zip(ODD) {
        let given = ada.get(file["url"].as_str().unwrap()).await;
        let told = given.header("content-disposition").unwrap().to_owned();
        assert_eq!((given.status, file["name"].as_str()), (200, Some(*name)));
        assert!(told.contains("filename"), "{told}");
    }
}
