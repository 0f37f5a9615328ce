//! Tests that the examples in `docs/writing-a-client.md` are the code that runs.

use super::client::soon;
use crate::harness::Server;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_guide_shows_the_examples_as_they_are() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let guide = read("docs/writing-a-client.md");
    for (language, path) in [("js", "docs/examples/client.mjs"), ("rust", "crates/parlance/examples/client.rs")] {
        assert!(guide.contains(&format!("```{language}\n{}```", read(path))), "{path} is not what the guide shows");
    }
}

#[actix_web::test]
async fn the_javascript_client_sends_and_hears_itself() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let client = |listen_ms: &str| {
        let mut node = Command::new("node");
        node.args(["--experimental-websocket", "docs/examples/client.mjs", &format!("http://{}", ada.address())]);
        node.args([&*ada.name, &*ada.password, &*bob.name, "hello"]).env("LISTEN_MS", listen_ms).current_dir(root());
        node
    };
    // It listens as long as others are waited for, and is ended when it has heard itself.
    let Ok(mut listening) = client("60000").stdout(Stdio::piped()).spawn() else {
        assert!(std::env::var_os("CI").is_none(), "CI without node: nothing may be left out there");
        return eprintln!("LEFT OUT: there is no node to run docs/examples/client.mjs");
    };
    let mut lines = BufReader::new(listening.stdout.take().unwrap()).lines();
    let heard = actix_web::web::block(move || {
        let mut awaited = BTreeSet::from(["ada: hello".to_owned(), "sent as number 1".to_owned()]);
        while !awaited.is_empty() {
            let Some(line) = lines.next() else { break };
            awaited.remove(&line.unwrap());
        }
        listening.kill().unwrap();
        listening.wait().unwrap();
        awaited
    });
    assert_eq!(soon("the client", heard).await.unwrap(), BTreeSet::new(), "it did not say that");
    // By itself it ends well.
    let mut short = client("0");
    let ran = soon("the client's end", actix_web::web::block(move || short.output())).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("sent as number 2"), "{said}");
    assert_eq!(bob.unseen_total().await, 2);
}
