//! Configuration errors: unknown names, secrets in files, and the exit code.

use crate::harness::Process;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn write(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_mistyped_variable_is_warned_of_by_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let mistyped = [("PARLANCE_LISTN", "hush"), ("PARLANCE_SERVICE_HOST", "10.0.0.7")];
    let warned = |said: &str| {
        assert!(said.contains("PARLANCE_LISTN is ignored") && said.contains("nearest is PARLANCE_LISTEN"), "{said}");
        assert!(!said.contains("hush") && !said.contains("PARLANCE_SERVICE_HOST"), "{said}");
    };
    for arguments in [
        &["migrate"][..],
        &["doctor"],
        &["user", "list"],
        &["backup", "b.tar"],
        &["restore", "b.tar", "--data-dir", "other"],
        &["demo", "--no-serve"],
    ] {
        let ended = Process::run(here, arguments, &mistyped);
        assert_eq!(ended.status.code(), Some(0), "{arguments:?} {}", text(&ended));
        warned(&text(&ended));
    }
    let server = Process::start(here, &[], &mistyped);
    server.signal("TERM");
    warned(&server.wait().1);
    // Where the start is refused, it may be why.
    let refused = Process::run(here, &[], &[mistyped[0], ("PARLANCE_BCRYPT_COST", "3")]);
    warned(&text(&refused));

    let doctor = Process::run(here, &["doctor", "--json"], &mistyped);
    let told: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let environment = told["checks"].as_array().unwrap().iter().find(|check| check["check"] == "environment").unwrap();
    assert_eq!((&environment["verdict"], &told["ok"]), (&json!("warning"), &json!(true)), "{told}");
    let nothing = Process::run(here, &["doctor"], &[("PARLANCE_LOG", "info")]);
    assert!(text(&nothing).contains("ok       environment"), "{}", text(&nothing));

    write(here, "parlance.toml", "PARLANCE_LISTN = 'hush'\n");
    let refused = Process::run(here, &["serve"], &[]);
    let said = text(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("unknown key PARLANCE_LISTN") && said.contains("nearest is PARLANCE_LISTEN"), "{said}");
}

#[actix_web::test]
async fn a_secret_may_be_held_by_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let (secret, database) =
        (write(here, "secret", &format!("{SECRET}\n")), write(here, "url", "sqlite://held.db\r\n"));
    let held = [("PARLANCE_JWT_SECRET_FILE", secret.as_str()), ("DATABASE_URL_FILE", database.as_str())];
    for arguments in
        [&["migrate"][..], &["user", "create", "ada", "--password-stdin"], &["doctor"], &["backup", "b.tar"]]
    {
        let ended = Process::run_with_input(here, arguments, &held, "correct horse\n");
        assert_eq!(ended.status.code(), Some(0), "{arguments:?} {}", text(&ended));
        assert!(!text(&ended).contains(SECRET), "{}", text(&ended));
    }
    assert!(here.join("held.db").is_file() && !here.join("data/parlance.db").exists());
    let server = Process::start(here, &[], &held);
    let body = json!({ "username": "ada", "password": "correct horse" });
    let login = server.client.post("/login", body).await.expect(200);
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    assert!(!here.join("data/jwt-secret").exists());
    // The same secret without its file, and the same file by the configuration's: the token is good.
    let file = format!("PARLANCE_JWT_SECRET = '{SECRET}'\nDATABASE_URL_FILE = 'url'\n");
    write(here, "parlance.toml", &file);
    let server = Process::start(here, &[], &[]);
    server.client.with_token(login["token"].as_str().unwrap()).get("/me").await.expect(200);
}

#[test]
fn a_secret_given_twice_or_not_at_all_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let secret = write(here, "secret", SECRET);
    let (empty, line) = (write(here, "empty", ""), write(here, "line", "\n"));
    let short = write(here, "short", "hush\n");
    std::fs::write(here.join("bytes"), b"\xffhush").unwrap();
    let bytes = here.join("bytes").to_str().unwrap().to_owned();
    let large = write(here, "large", &"hush".repeat(20_000));
    let key = "PARLANCE_JWT_SECRET_FILE";
    for (environment, words) in [
        (&[("PARLANCE_JWT_SECRET", SECRET), (key, secret.as_str())][..], &["PARLANCE_JWT_SECRET and", key, "both"][..]),
        (
            &[("DATABASE_URL", "sqlite://a.db"), ("DATABASE_URL_FILE", "url")],
            &["DATABASE_URL and", "DATABASE_URL_FILE"],
        ),
        (&[("PARLANCE_NATS_URL", "nats://a"), ("PARLANCE_NATS_URL_FILE", "url")], &["PARLANCE_NATS_URL_FILE"]),
        (&[("AWS_SECRET_ACCESS_KEY", "a"), ("AWS_SECRET_ACCESS_KEY_FILE", "url")], &["AWS_SECRET_ACCESS_KEY_FILE"]),
        (&[(key, "nowhere")], &[key, "cannot read"]),
        (&[(key, ".")], &[key, "cannot read"]),
        (&[(key, &empty)], &[key, "is empty"]),
        (&[(key, &line)], &[key, "is empty"]),
        (&[(key, &bytes)], &[key, "cannot read"]),
        (&[(key, &large)], &[key, "bytes"]),
        (&[(key, &short)], &["PARLANCE_JWT_SECRET: must have 32 bytes", key]),
    ] {
        for command in ["serve", "migrate", "doctor"] {
            let refused = Process::run(here, &[command], environment);
            let said = text(&refused);
            assert_eq!(refused.status.code(), Some(1), "{said}");
            assert!(words.iter().all(|word| said.contains(word)) && !said.contains("hush"), "{words:?}: {said}");
        }
    }
    // A flag wins over both, and what it wins over is not even read.
    let twice = [("DATABASE_URL", "sqlite://a.db"), ("DATABASE_URL_FILE", "nowhere")];
    let ended = Process::run(here, &["migrate", "--database-url", "sqlite://flag.db"], &twice);
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended));
    assert!(here.join("flag.db").is_file());
    // The demo comes near nothing of it.
    let ended = Process::run(here, &["demo", "--no-serve"], &[twice[1], (key, "nowhere")]);
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended));
}

#[test]
fn wrong_usage_has_a_code_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    for arguments in [
        &["--listen", "nowhere"][..],
        &["serve", "--listen", "127.0.0.1:70000"],
        &["serve", "--database-url", "mysql://hush@host/db"],
        &["serve", "--data-dir", ""],
        &["migrate", "--database-url", ""],
        &["doctor", "--database-url", "nonsense"],
        &["user", "list", "--database-url", "nonsense"],
        &["backup", "b.tar", "--database-url", "nonsense"],
        &["restore", "b.tar", "--listen", "x"],
        &["demo", "--listen", "nowhere"],
        &["demo", "--config", "x.toml"],
        &["demo", "--database-url", "sqlite://a.db"],
        &["demo", "--seed", "x"],
        &["copy", "--from", "mysql://x", "--to", "sqlite://b.db"],
        &["copy", "--from", "sqlite://a.db"],
        &["copy", "--dry-run"],
        &["user"],
        &["user", "dance"],
        &["user", "create", "a b"],
        &["backup"],
        &["restore", "a", "b"],
        &["completions", "abacus"],
        &["dance"],
        &["serve", "twice"],
        &["--nothing"],
        &["help", "dance"],
    ] {
        let refused = Process::run(here, arguments, &[]);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?} {}", text(&refused));
        assert!(refused.stdout.is_empty() && !text(&refused).contains("hush"), "{arguments:?} {}", text(&refused));
    }
    // What cannot be had, though it was said rightly, is a failure.
    for arguments in [
        &["serve", "--listen", "192.0.2.1:1"][..],
        &["serve", "--config", "nowhere.toml"],
        &["restore", "nowhere.tar"],
        &["copy", "--from", "sqlite://nowhere.db", "--to", "sqlite://b.db"],
        &["user", "disable", "nobody"],
    ] {
        let failed = Process::run(here, arguments, &[]);
        assert_eq!(failed.status.code(), Some(1), "{arguments:?} {}", text(&failed));
    }
}

#[test]
fn every_command_has_help_and_the_programs_version() {
    let directory = tempfile::tempdir().unwrap();
    let version = format!("parlance {}\n", env!("CARGO_PKG_VERSION"));
    for command in [
        &[][..],
        &["serve"],
        &["demo"],
        &["migrate"],
        &["backup"],
        &["restore"],
        &["doctor"],
        &["copy"],
        &["completions"],
        &["openapi"],
        &["user"],
        &["user", "create"],
        &["user", "list"],
        &["user", "role"],
        &["user", "password"],
        &["user", "disable"],
        &["user", "enable"],
    ] {
        for flag in ["--version", "-V"] {
            let told = Process::run(directory.path(), &[command, &[flag]].concat(), &[]);
            assert_eq!((told.status.code(), &*text(&told)), (Some(0), &*version), "{command:?} {flag}");
        }
        let help = Process::run(directory.path(), &[command, &["--help"]].concat(), &[]);
        assert_eq!(help.status.code(), Some(0), "{command:?}");
        assert!(text(&help).contains("Usage: parlance"), "{command:?} {}", text(&help));
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
