//! `parlance user`.

use crate::harness::{Process, database};
use rustix::fs::{Mode, OFlags};
use rustix::termios::LocalModes;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Output, Stdio};

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `parlance user ...` and expects it to succeed; what it prints.
#[track_caller]
fn user(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let arguments: Vec<_> = ["user"].iter().chain(arguments).copied().collect();
    let output = Process::run(directory, &arguments, environment);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    printed(&output)
}

/// The password that was generated.
fn generated(printed: &str) -> String {
    printed.lines().find_map(|line| line.strip_prefix("password: ")).unwrap().to_owned()
}

/// The users as `list --json` prints them.
fn listed(directory: &Path, environment: &[(&str, &str)]) -> Vec<Value> {
    serde_json::from_str(&user(directory, &["list", "--json"], environment)).unwrap()
}

#[actix_web::test]
async fn an_operator_makes_the_first_admin_before_the_first_start() {
    let database = database();
    let url = database.as_ref().map(|database| ("DATABASE_URL", database.url()));
    let environment: Vec<_> = url.into_iter().collect();
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    assert!(listed(here, &environment).is_empty());
    let made = user(here, &["create", "boss", "--admin", "--email", "boss@example.org"], &environment);
    let password = generated(&made);
    let typed = Process::run_with_input(
        here,
        &["user", "create", "ada", "--password-stdin"],
        &environment,
        "a typed password\r\nanother line\n",
    );
    assert_eq!((typed.status.code(), printed(&typed).contains("password")), (Some(0), false));

    let server = Process::start(here, &["serve"], &environment);
    let client = &server.client;
    let login = json!({ "username": "boss", "password": password });
    let boss = client.post("/login", login).await.expect(200);
    assert_eq!(boss["user"]["admin"], true);
    let boss = client.with_token(boss["token"].as_str().unwrap());
    client.post("/login", json!({ "username": "ada", "password": "a typed password" })).await.expect(200);
    let audit = boss.get("/admin/audit").await.expect(200);
    let entries: Vec<_> = audit.as_array().unwrap().iter().map(|entry| &entry["user"]["username"]).collect();
    assert_eq!(entries, ["ada", "boss"]);
    assert!(audit[0]["actor"].is_null() && audit[0]["action"] == "user.created", "{audit}");
    server.signal("TERM");
    let (code, log) = server.wait();
    assert!(code == Some(0) && !log.contains(&password), "{log}");
}

#[actix_web::test]
async fn roles_passwords_and_switches_are_in_effect_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let first = generated(&user(here, &["create", "Ada"], &[]));
    assert!(user(here, &["role", "ada", "admin"], &[]).contains("ada is an admin"));
    user(here, &["disable", "ADA"], &[]);
    let ada = listed(here, &[]).remove(0);
    assert_eq!((&ada["username"], &ada["admin"], &ada["disabled"]), (&json!("Ada"), &json!(true), &json!(true)));
    let table = user(here, &["list"], &[]);
    let row: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["Ada", "admin", "disabled", "never", "-"]);
    user(here, &["enable", "ＡＤＡ"], &[]);
    let second = generated(&user(here, &["password", "ada"], &[]));
    assert_ne!(first, second);
    let told = user(here, &["role", "ada", "member"], &[("PARLANCE_ADMINS", "ada")]);
    assert!(told.contains("PARLANCE_ADMINS"), "{told}");

    let server = Process::start(here, &["serve"], &[]);
    server.client.post("/login", json!({ "username": "ada", "password": first })).await.refused(401, None);
    let login = server.client.post("/login", json!({ "username": "ada", "password": second })).await.expect(200);
    assert!(login["user"].get("admin").is_none(), "{login}");
    // One file, one server: said in a sentence that tells what to do.
    for arguments in [&["user", "list"][..], &["user", "disable", "ada"]] {
        let refused = Process::run(here, arguments, &[]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("a server is running on") && said.contains("/admin"), "{said}");
    }
}

#[test]
fn what_is_wrong_is_said_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    user(here, &["create", "ada"], &[]);
    for (arguments, input, code, sentence) in [
        (&["create", "ADA"][..], "", 1, "username already exists"),
        (&["create", "a b"], "", 2, "must be 2 to 32"),
        (&["create", "Everyone"], "", 2, "must not be all, here, everyone, channel, hook"),
        (&["create", "ｂｏｂ"], "", 2, "must be 2 to 32"),
        (&["create", "bob", "--email", "nowhere"], "", 2, "not an address"),
        (&["create", "bob", "--password", "hush-hush"], "", 2, "unexpected argument"),
        (&["create", "bob", "--password-stdin"], "hush\n", 1, "8 characters or more"),
        (&["role", "ada", "king"], "", 2, "possible values"),
        (&["disable", "nobody"], "", 1, "there is no user nobody"),
        (&["password", "nobody"], "", 1, "there is no user nobody"),
    ] {
        let arguments: Vec<_> = ["user"].iter().chain(arguments).copied().collect();
        let refused = Process::run_with_input(here, &arguments, &[], input);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(sentence), "{arguments:?}: {said}");
        assert!(arguments.contains(&"--password") || !said.contains("hush"), "{said}");
    }
    assert_eq!(listed(here, &[]).len(), 1);
}

/// The program at a terminal, and a user who types.
struct Terminal {
    /// The end of who types and reads.
    keyboard: File,
    /// The program's end.
    program: File,
    child: Child,
    stderr: ChildStderr,
    printed: String,
}

impl Terminal {
    fn run(directory: &Path, arguments: &[&str]) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let program = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let program = File::from(program);
        let mut command = Process::command(directory, arguments, &[]);
        command.stdin(program.try_clone().unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        Self { keyboard: keyboard.into(), program, child, stderr, printed: String::new() }
    }

    /// Waits for a question.
    fn asks(&mut self, question: &str) {
        while !self.printed.ends_with(question) {
            let mut byte = [0];
            assert_eq!(self.stderr.read(&mut byte).unwrap(), 1, "it asked nothing, and said: {}", self.printed);
            self.printed.push(char::from(byte[0]));
        }
    }

    fn types(&mut self, line: &str) {
        self.keyboard.write_all(line.as_bytes()).unwrap();
    }

    /// The exit code, the output, and the terminal's contents; the terminal's echo is on again.
    fn ends(mut self) -> (Option<i32>, String, String) {
        self.stderr.read_to_string(&mut self.printed).unwrap();
        let code = self.child.wait().unwrap().code();
        let modes = rustix::termios::tcgetattr(&self.program).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO));
        drop(self.program);
        // Reading from a closed terminal returns an error at its end.
        let mut shown = Vec::new();
        let _ = self.keyboard.read_to_end(&mut shown);
        (code, self.printed, String::from_utf8(shown).unwrap())
    }
}

#[actix_web::test]
async fn at_a_terminal_a_password_is_asked_for_and_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let mut terminal = Terminal::run(here, &["user", "create", "ada", "--password-stdin"]);
    for question in ["password of ada: ", "password of ada, once more: "] {
        terminal.asks(question);
        terminal.types("a secret sentence\n");
    }
    let (code, said, shown) = terminal.ends();
    assert_eq!((code, shown.replace("\r\n", "\n").as_str()), (Some(0), "\n\n"), "{said}");

    // Two different entries, an empty one, or no valid password change nothing.
    for (lines, sentence) in [
        (&["a secret sentence\n", "another sentence\n"][..], "the two passwords differ"),
        (&["\u{4}", "\u{4}"], "8 characters or more"),
        (&["secret\n", "secret\n"], "8 characters or more"),
    ] {
        let mut terminal = Terminal::run(here, &["user", "password", "ada", "--password-stdin"]);
        for (line, question) in lines.iter().zip(["password of ada: ", "once more: "]) {
            terminal.asks(question);
            terminal.types(line);
        }
        let (code, said, shown) = terminal.ends();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(sentence) && !shown.contains("sec"), "{said}{shown}");
    }
    // After Ctrl-C, the terminal has its echo again.
    let mut terminal = Terminal::run(here, &["user", "password", "ada", "--password-stdin"]);
    terminal.asks("password of ada: ");
    let id = terminal.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let (code, said, _) = terminal.ends();
    assert!(code == Some(1) && said.contains("interrupted"), "{code:?} {said}");

    let server = Process::start(here, &["serve"], &[]);
    let login = json!({ "username": "ada", "password": "a secret sentence" });
    server.client.post("/login", login).await.expect(200);
}

#[test]
fn a_line_is_enough_though_more_may_come() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Process::command(directory.path(), &["user", "create", "ada", "--password-stdin"], &[]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"a typed password\n").unwrap();
    // Kept open.
    assert!(child.wait().unwrap().success());
    drop(stdin);
}
