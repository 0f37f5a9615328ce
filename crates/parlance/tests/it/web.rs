//! `/` and `/assets/...`: the web client.

use crate::harness::{Answer, Server};
use std::path::{Path, PathBuf};

/// The policy that keeps everything foreign out of the page.
const POLICY: &str = "default-src 'none'; script-src 'self' 'sha256-FpevjYbgKOb4iISN2XHFyzmT4T6E3x6tfeWFiwRryZs='; \
                      style-src 'self'; img-src 'self' blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web")
}

/// The files of the client below `directory`, relative to `web/`.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("html") => "text/html; charset=utf-8",
        _ => panic!("{} is of no type that the client has", path.display()),
    }
}

fn assert_served(answer: &Answer, file: &Path) {
    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!(answer.body, std::fs::read(file).unwrap(), "{answer}");
    for (name, value) in [
        ("content-type", media_type(file)),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-cache"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{answer}");
    }
}

#[actix_web::test]
async fn the_page_and_every_file_of_it_are_served_without_a_token() {
    let server = Server::start().await;
    // A token is not looked at, not even a bad one.
    for client in [server.anyone().clone(), server.anyone().with_token("nonsense")] {
        assert_served(&client.get("/").await, &directory().join("index.html"));
    }
    let mut served = 0;
    for part in ["css", "js", "favicon.svg"] {
        let part = directory().join(part);
        for file in if part.is_dir() { files(&part) } else { vec![part] } {
            let path = file.strip_prefix(directory()).unwrap().to_str().unwrap().to_owned();
            assert_served(&server.anyone().get(&format!("/assets/{path}")).await, &file);
            served += 1;
        }
    }
    assert!(served > 20, "only {served} files");
}

#[actix_web::test]
async fn the_page_names_only_what_is_served() {
    let server = Server::start().await;
    let page = String::from_utf8(server.anyone().get("/").await.body).unwrap();
    let references = page.split('"').filter(|text| text.starts_with("assets/"));
    let mut preloaded = 0;
    for reference in references {
        assert_eq!(server.anyone().get(&format!("/{reference}")).await.status, 200, "{reference}");
        preloaded += usize::from(reference.ends_with(".js"));
    }
    assert_eq!(preloaded, files(&directory().join("js")).len(), "a module is missing from the page's preloads");
    // Nothing is asked of another place, or of the root of this one, and of scripts that are not files there is only
    // the one that the policy names.
    for inline in ["<style", " style=", " onclick=", "\"/", "//"] {
        assert!(!page.contains(inline), "{inline}");
    }
    assert_eq!(page.matches("<script>").count(), 1);
}

#[actix_web::test]
async fn what_a_browser_has_is_not_sent_again() {
    let server = Server::start().await;
    for path in ["/", "/assets/js/main.js"] {
        let first = server.anyone().get(path).await;
        let tag = first.header("etag").unwrap();
        for known in [tag, &format!("\"other\", {tag}"), "*"] {
            let again = server.anyone().raw("GET", path, &[("if-none-match", known)], "").await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{again}");
            for name in ["etag", "cache-control", "content-security-policy"] {
                assert_eq!(again.header(name), first.header(name), "{again}");
            }
        }
        server
            .anyone()
            .raw("GET", path, &[("if-match", "\"other\""), ("if-none-match", tag)], "")
            .await
            .refused(412, None);
        assert_eq!(server.anyone().raw("GET", path, &[("if-match", tag)], "").await.status, 200);
        let other = server.anyone().raw("GET", path, &[("if-none-match", "\"other\"")], "").await;
        assert_eq!((other.status, other.body.len()), (200, first.body.len()));
        let head = server.anyone().raw("HEAD", path, &[], "").await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), first.header("content-length"));
    }
}

#[actix_web::test]
async fn nothing_else_is_below_assets() {
    let server = Server::start().await;
    for path in
        ["", "js", "js/", "js/none.js", "index.html", "tests/store.test.mjs", "%2e%2e/Cargo.toml", "js/main.js/"]
    {
        let error = server.anyone().get(&format!("/assets/{path}")).await.refused(404, None);
        assert_eq!(error["error"], "no such route", "{path}");
    }
    let answer = server.anyone().raw("POST", "/assets/js/main.js", &[], "").await;
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    answer.refused(405, None);
}
