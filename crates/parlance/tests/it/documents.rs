//! Tests that the documents describe the program as it is.

use crate::harness::Process;
use parlance::config::KEYS;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use uuid::Uuid;

fn document(name: &str) -> String {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(name)).unwrap()
}

/// Commands of the README's tour, and what it says that they print.
struct Step {
    commands: String,
    prints: String,
}

fn tour() -> Vec<Step> {
    let readme = document("README.md");
    let (_, tour) = readme.split_once("<!-- tour -->").unwrap();
    let (tour, _) = tour.split_once("<!-- end of tour -->").unwrap();
    let mut steps: Vec<Step> = Vec::new();
    for block in tour.split("\n```").skip(1).step_by(2) {
        match (block.split_once('\n').unwrap(), steps.last_mut()) {
            (("sh", commands), _) => steps.push(Step { commands: commands.to_owned(), prints: String::new() }),
            // Long lines are folded there.
            (("text", prints), Some(step)) => step.prints = prints.replace("\n ", ""),
            ((other, _), _) => panic!("a block of {other}"),
        }
    }
    steps
}

/// The output line by line, without ids and times, which differ in every run.
fn without_ids_and_times(printed: &str) -> Vec<Value> {
    let lines = printed.lines().filter(|line| !line.is_empty());
    let parsed = lines.map(|line| serde_json::from_str(line).unwrap_or_else(|_| Value::from(line)));
    parsed.map(masked).collect()
}

fn masked(value: Value) -> Value {
    match value {
        // Also for values that contain an id, such as the URL of a file.
        Value::String(text) => text.split('/').map(mask).collect::<Vec<_>>().join("/").into(),
        Value::Array(items) => items.into_iter().map(masked).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, masked(value))).collect(),
        other => other,
    }
}

fn mask(word: &str) -> &str {
    match word {
        id if Uuid::try_parse(id).is_ok() => "an id",
        time if chrono::DateTime::parse_from_rfc3339(time).is_ok() => "a time",
        other => other,
    }
}

#[test]
fn the_tour_of_the_readme_goes_as_printed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path(), &[], &[]);
    let steps = tour();
    assert!(steps.len() > 5);
    let mut script = String::new();
    for step in &steps {
        let commands = step.commands.replace("http://127.0.0.1:8080", &format!("http://{}", server.client.address()));
        script.push_str(&format!("{commands}\nprintf '\\036'\n"));
    }
    let command = ["-euc", &script];
    let ran = Command::new("bash").args(command).env("no_proxy", "*").current_dir(directory.path()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let printed = String::from_utf8(ran.stdout).unwrap();
    let printed: Vec<_> = printed.split_terminator('\u{1e}').collect();
    assert_eq!(printed.len(), steps.len());
    for (step, printed) in steps.iter().zip(printed) {
        assert_eq!(without_ids_and_times(printed), without_ids_and_times(&step.prints), "{}", step.commands);
    }
}

#[test]
fn the_readme_lists_every_key() {
    let readme = document("README.md");
    let rows: Vec<_> = readme.lines().filter(|line| line.starts_with("| `")).collect();
    for key in KEYS {
        let row = rows.iter().find(|row| row.starts_with(&format!("| `{}` |", key.name)));
        let row = row.unwrap_or_else(|| panic!("{} is not in the README", key.name));
        assert!(row.contains(key.default) && row.contains(key.help), "the README says otherwise of {key:?}: {row}");
    }
    assert_eq!(rows.len(), KEYS.len(), "the README has keys that are none");
}

#[test]
fn the_example_file_has_every_key() {
    let example = document("parlance.example.toml");
    let lines = example.lines().filter_map(|line| line.strip_prefix("# "));
    let values: Vec<_> = lines.filter(|line| line.starts_with(char::is_uppercase) && line.contains(" = ")).collect();
    let table: toml::Table = values.join("\n").parse().unwrap();
    let mut found: Vec<_> = table.keys().map(String::as_str).collect();
    let mut known: Vec<_> = KEYS.iter().map(|key| key.name).collect();
    found.sort_unstable();
    known.sort_unstable();
    assert_eq!(found, known);
}

#[test]
fn the_image_is_built_from_all_that_a_build_reads() {
    let let_through = document(".dockerignore");
    // `.cargo` has the flags that SQLite is built with: without them it builds as well, and is slower.
    for needed in [".cargo", "Cargo.lock", "Cargo.toml", "crates", "migrations", "web"] {
        assert!(let_through.lines().any(|line| line == format!("!{needed}")), "the image is built without {needed}");
    }
}

#[test]
fn the_compose_file_sets_only_keys_that_there_are() {
    let compose = document("docker-compose.yml");
    let lines = compose.lines().filter_map(|line| line.trim().split_once(':'));
    let ours: Vec<_> = lines.map(|(name, _)| name).filter(|name| name.starts_with("PARLANCE_")).collect();
    assert!(ours.contains(&"PARLANCE_FILES") && ours.contains(&"PARLANCE_TRUSTED_PROXIES"));
    for name in ours {
        assert!(KEYS.iter().any(|key| key.name == name), "{name} is no key");
    }
}

/// Whatever is fetched when a file of ours is used, by the version that was tried. (The hosted workflow fetches all of
/// it.)
#[test]
fn images_are_named_with_a_version() {
    let mut images = Vec::new();
    for (name, before) in
        [("docker-compose.yml", "image: "), ("Dockerfile", "FROM "), (".github/workflows/ci.yml", "uses: ")]
    {
        let text = document(name);
        let named = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(before));
        images.extend(named.map(|rest| rest.split(' ').next().unwrap_or_default().to_owned()));
    }
    assert!(images.len() > 10, "{images:?}");
    for image in images.iter().filter(|image| *image != "parlance") {
        let (_, version) = image.rsplit_once([':', '@']).unwrap_or_else(|| panic!("{image} has no version"));
        let suite = ["trixie-slim"].contains(&version);
        assert!(suite || version.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()), "{image}");
    }
    // The programs that the containers are asked with are in them.
    let healthcheck = document("Dockerfile").lines().find(|line| line.starts_with("HEALTHCHECK")).map(str::to_owned);
    assert!(healthcheck.is_some_and(|line| line.ends_with(r#"CMD ["parlance", "healthcheck"]"#)));
}
