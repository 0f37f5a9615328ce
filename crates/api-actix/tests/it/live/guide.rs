//! `docs/writing-a-client.md`: its examples are the ones that run.

use crate::harness::Server;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_guide_shows_the_examples_as_they_are() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let guide = read("docs/writing-a-client.md");
    for (language, path) in [("js", "docs/examples/client.mjs"), ("rust", "crates/api-actix/examples/client.rs")] {
        assert!(guide.contains(&format!("```{language}\n{}```", read(path))), "{path} is not what the guide shows");
    }
}

#[actix_web::test]
async fn the_javascript_client_sends_and_hears_itself() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let mut node = Command::new("node");
    node.args(["--experimental-websocket", "docs/examples/client.mjs", &format!("http://{}", ada.address())]);
    node.args([&*ada.name, &*ada.password, &*bob.name, "hello"]).env("LISTEN_MS", "500").current_dir(root());
    let Ok(ran) = actix_web::web::block(move || node.output()).await.unwrap() else {
        return eprintln!("LEFT OUT: there is no node to run docs/examples/client.mjs");
    };
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("sent as number 1") && said.contains("ada: hello"), "{said}");
    assert_eq!(bob.unseen_total().await, 1);
}
