//! What ARCHITECTURE.md forbids, looked for in the manifests and in the sources themselves.
#![expect(clippy::unwrap_used, reason = "a test fails where it is surprised")]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tools and helpers that are in no server.
const NOT_SHIPPED: &[&str] = &["bench", "test-s3", "test-support"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A dependency: its name, whether it is optional, and which of its features are switched on.
type Dependency = (String, bool, BTreeSet<String>);

/// The workspace's crates by name, with what each needs to be built (not what only its tests need).
fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let names = |needs: Vec<Dependency>| needs.into_iter().map(|(name, ..)| name).collect();
    dependencies().into_iter().map(|(name, needs)| (name, names(needs))).collect()
}

/// The same, with the features that each switches on.
fn dependencies() -> BTreeMap<String, Vec<Dependency>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let needs = |package: &Value| {
        let needed = list(&package["dependencies"]).into_iter().filter(|needed| needed["kind"].is_null());
        let features = |needed: &Value| list(&needed["features"]).iter().map(text).collect();
        needed.map(|needed| (text(&needed["name"]), needed["optional"].as_bool().unwrap(), features(&needed))).collect()
    };
    list(&metadata["packages"]).iter().map(|package| (text(&package["name"]), needs(package))).collect()
}

/// Those of them that are in the server.
fn shipped_crates() -> BTreeMap<String, BTreeSet<String>> {
    crates().into_iter().filter(|(name, _)| !NOT_SHIPPED.contains(&name.as_str())).collect()
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|its| its == extension) {
            found.push(path);
        }
    }
}

/// The code of every Rust file that is in the server, by its path from the root: without comments and unit tests.
fn shipped_code() -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    for name in shipped_crates().keys() {
        files(&root.join("crates").join(name).join("src"), "rs", &mut found);
    }
    found.retain(|path| !["tests.rs", "testing.rs"].iter().any(|name| path.ends_with(name)));
    let code = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    };
    found.iter().map(|path| (path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), code(path))).collect()
}

/// Whether `what` is in the code, and not only as the end of a longer word.
fn names(code: &str, what: &str) -> bool {
    let begins = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    code.match_indices(what).any(|(at, _)| begins(at))
}

#[test]
fn arrows_point_inward() {
    let crates = crates();
    let ours = |name: &str| -> BTreeSet<&str> {
        crates[name].iter().map(String::as_str).filter(|needed| crates.contains_key(*needed)).collect()
    };
    for name in shipped_crates().keys() {
        let may_know: &[&str] = match name.as_str() {
            "domain" => &[],
            "api-actix" => &["domain", "infra-live", "wire"],
            // The composition root.
            "parlance" => continue,
            // Adapters, and what clients read.
            _ => &["domain"],
        };
        assert_eq!(ours(name), may_know.iter().copied().collect(), "{name}");
    }
}

/// Which top-level modules of a crate each of its top-level modules names.
fn modules_of(name: &str) -> BTreeMap<String, BTreeSet<String>> {
    let place = format!("crates/{name}/src/");
    let mut modules: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let code: Vec<(String, String)> = shipped_code()
        .into_iter()
        .filter_map(|(path, code)| {
            let inner = path.strip_prefix(&place)?;
            let module = inner.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
            (!["lib", "main"].contains(&module.as_str())).then_some((module, code))
        })
        .collect();
    let known: BTreeSet<String> = code.iter().map(|(module, _)| module.clone()).collect();
    for (module, code) in code {
        let named = code.split("crate::").skip(1).map(|rest| {
            rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap_or_default().to_owned()
        });
        let others = named.filter(|other| known.contains(other) && *other != module).collect::<Vec<_>>();
        modules.entry(module).or_default().extend(others);
    }
    modules
}

/// Modules that depend on each other are one module in two files.
#[test]
fn no_module_depends_on_one_that_depends_on_it() {
    for name in shipped_crates().into_keys() {
        let mut modules = modules_of(&name);
        // Who depends on nobody who is left is no part of a cycle.
        loop {
            let free: Vec<String> =
                modules.iter().filter(|(_, needs)| needs.is_empty()).map(|(module, _)| module.clone()).collect();
            if free.is_empty() {
                break;
            }
            modules.retain(|module, _| !free.contains(module));
            modules.values_mut().for_each(|needs| needs.retain(|other| !free.contains(other)));
        }
        assert!(modules.is_empty(), "cycles among the modules of {name}: {modules:?}");
    }
}

#[test]
fn the_domain_needs_little() {
    let allowed = ["async-trait", "chrono", "sha2", "thiserror", "uuid"];
    let unicode = ["emojis", "icu_properties", "idna", "unicode-normalization", "unicode-segmentation"];
    let on_demand = ["mockall", "serde"];
    let allowed: BTreeSet<String> =
        allowed.iter().chain(&unicode).chain(&on_demand).map(|&name| name.to_owned()).collect();
    assert_eq!(crates()["domain"], allowed, "no runtime, no log, no database");
    for (name, optional, _) in dependencies().remove("domain").unwrap() {
        assert_eq!(optional, on_demand.contains(&name.as_str()), "{name}: only a feature brings it");
    }
}

/// What nodes send each other is no contract with clients. Whoever serialized a type of the domain to a client would
/// tie the two together.
#[test]
fn only_nodes_serialize_the_domain() {
    let switches_on = |(name, _, features): &Dependency| name == "domain" && features.contains("replication");
    let crates = dependencies().into_iter().filter(|(_, needs)| needs.iter().any(switches_on));
    assert_eq!(crates.map(|(name, _)| name).collect::<Vec<_>>(), ["infra-live"]);
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("\ndomain = { path = \"crates/domain\" }\n"), "the workspace switches no feature on");
}

/// A feature is what makes `Utc::now()` or `Uuid::now_v7()` compile. Cargo unifies features over a workspace, so that
/// only the domain built alone (`cargo check -p domain`, in `.ci/run`) misses them.
#[test]
fn the_domain_has_neither_clock_nor_randomness() {
    let line = |manifest: &str, name: &str| {
        let text = std::fs::read_to_string(root().join(manifest)).unwrap();
        text.lines().find(|line| line.starts_with(name)).unwrap().to_owned()
    };
    for name in ["chrono = ", "uuid = "] {
        let shared = line("Cargo.toml", name);
        assert!(shared.contains("default-features = false") && !shared.contains("features = ["), "{shared}");
        let own = line("crates/domain/Cargo.toml", name);
        let gives = |feature: &str| own.contains(&format!("\"{feature}\""));
        assert!(!["clock", "now", "v4", "v7"].into_iter().any(gives), "{own}");
    }
}

/// `deny.toml` says the same of what comes in by other ways.
#[test]
fn each_technology_has_one_home() {
    let homes: &[(&str, &[&str])] = &[
        ("infra-diesel", &["diesel", "diesel_migrations", "libsqlite3-sys", "pq-sys"]),
        ("infra-files", &["infer", "object_store", "reqwest", "rustls"]),
        ("infra-images", &["image", "moxcms", "thumbhash", "zune-jpeg"]),
        ("infra-live", &["async-nats"]),
        ("infra-auth", &["bcrypt", "jsonwebtoken", "ring"]),
        ("api-actix", &["actix-http", "actix-multipart", "actix-ws", "governor"]),
        // Errors are typed everywhere but at the outermost edge.
        ("parlance", &["anyhow", "clap", "tracing-subscriber"]),
        ("nobody", &["rusqlite", "sqlx"]),
    ];
    // Clients read JSON, nodes what other nodes write, and tokens have claims. The domain has serde for the nodes
    // alone.
    let serializing = shipped_crates().into_iter().filter(|(_, needs)| needs.contains("serde"));
    assert_eq!(
        serializing.map(|(name, _)| name).collect::<Vec<_>>(),
        ["api-actix", "domain", "infra-auth", "infra-live", "parlance", "wire"]
    );
    for (name, needs) in shipped_crates() {
        for (home, technologies) in homes.iter().filter(|(home, _)| *home != name) {
            let stray = technologies.iter().find(|technology| needs.contains(**technology));
            assert_eq!(stray, None, "{name} needs what belongs to {home}");
        }
    }
}

#[test]
fn what_is_dangerous_stays_where_it_is_meant_to_be() {
    // What, and the beginnings of the paths that may.
    let homes: &[(&str, &[&str])] = &[
        // Time and ids are injected.
        ("Utc::now", &["crates/parlance/src/clock.rs"]),
        ("SystemTime::now", &[]),
        ("now_v7", &["crates/parlance/src/clock.rs"]),
        ("new_v4", &[]),
        // They panic where nobody reads on: the command line has its `say`, everything else goes to the log.
        ("println!", &[]),
        ("eprintln!", &[]),
        ("print!", &[]),
        // Only a commit of which nobody knows what it did ends the process.
        ("process::exit", &["crates/parlance/src/storage.rs"]),
        // Configuration is read once and handed on.
        ("env::var", &["crates/parlance/src/config/"]),
        // A lint is set aside with a reason (`expect`), never silently.
        ("allow(clippy", &[]),
        // A copy looks again whether servers have left Postgres: nobody tells it.
        ("thread::sleep", &["crates/infra-diesel/src/maintenance/copy/endpoints.rs"]),
        // Its proof is beside it.
        ("unsafe {", &["crates/infra-diesel/src/connection/deadline.rs"]),
        // A crate has one way to the database, and one to the network.
        ("diesel::", &["crates/infra-diesel/src/"]),
        ("actix_web::", &["crates/api-actix/src/", "crates/parlance/src/"]),
        // An error becomes an answer in one table.
        ("HttpResponse::BadRequest", &[]),
        ("HttpResponse::Unauthorized", &[]),
        ("HttpResponse::Forbidden", &[]),
        ("HttpResponse::NotFound", &[]),
        ("HttpResponse::Conflict", &[]),
        ("HttpResponse::InternalServerError", &[]),
        ("actix_web::error::Error", &[]),
    ];
    let sources = shipped_code();
    let mut strays = Vec::new();
    for (what, homes) in homes {
        let away = sources.iter().filter(|(path, _)| !homes.iter().any(|home| path.starts_with(home)));
        strays.extend(away.filter(|(_, code)| names(code, what)).map(|(path, _)| format!("{path} has {what}")));
    }
    assert_eq!(strays, [""; 0]);
}

#[test]
fn no_file_is_longer_than_one_can_keep_in_mind() {
    let mut found = Vec::new();
    files(&root().join("crates"), "rs", &mut found);
    for path in found {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 450, "{} has {lines} lines", path.display());
    }
}

/// What is wrapped can be read side by side, and a word that changes shows as one line. Tables and code are as wide as
/// they are.
#[test]
fn prose_is_wrapped() {
    let root = root();
    let is_wide = |line: &str| line.chars().count() > 120;
    let mut wide = Vec::new();
    let mut sources = Vec::new();
    files(&root.join("crates"), "rs", &mut sources);
    for path in sources {
        let text = std::fs::read_to_string(&path).unwrap();
        let comments = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("//"));
        wide.extend(comments.filter(|(_, line)| is_wide(line)).map(|(n, _)| format!("{}:{}", path.display(), n + 1)));
    }
    for document in documents(&root) {
        let text = std::fs::read_to_string(&document).unwrap();
        let mut is_code = false;
        for (n, line) in text.lines().enumerate() {
            is_code ^= line.starts_with("```");
            if !is_code && !line.trim_start().starts_with('|') && is_wide(line) {
                wide.push(format!("{}:{}", document.display(), n + 1));
            }
        }
    }
    assert_eq!(wide, [""; 0]);
}

/// A comment sends nobody to what is not in the repository.
#[test]
fn sources_cite_documents_that_are_there() {
    let root = root();
    let mut sources = Vec::new();
    files(&root.join("crates"), "rs", &mut sources);
    files(&root.join("web"), "js", &mut sources);
    let mut missing = Vec::new();
    for path in sources {
        let text = std::fs::read_to_string(&path).unwrap();
        for comment in text.lines().map(str::trim_start).filter(|line| line.starts_with("//") || line.starts_with('*'))
        {
            let words = comment.split(|c: char| !c.is_alphanumeric() && !"/._-".contains(c));
            let cited = words.map(|word| word.trim_matches('.')).filter(|word| word.ends_with(".md"));
            missing.extend(
                cited.filter(|cited| !root.join(cited).exists()).map(|cited| format!("{}: {cited}", path.display())),
            );
        }
    }
    assert_eq!(missing, [""; 0]);
}

fn documents(root: &Path) -> Vec<PathBuf> {
    let names = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];
    let mut documents = names.map(|name| root.join(name)).to_vec();
    files(&root.join("docs"), "md", &mut documents);
    documents
}

/// Guides name files; a file that moves takes them along.
#[test]
fn the_documents_name_what_exists() {
    let root = root();
    for document in documents(&root) {
        let text = std::fs::read_to_string(&document).unwrap();
        // Every other part is a block of code.
        let text: String = text.split("\n```").step_by(2).collect();
        let folder = document.parent().unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for link in links.filter(|link| !link.is_empty() && !link.contains("://")) {
            assert!(folder.join(link).exists(), "{} links to {link}", document.display());
        }
        let tops = ["crates/", "docs/", "scripts/", "migrations/", "contrib/"];
        let quoted = text.split('`').filter(|word| tops.iter().any(|top| word.starts_with(top)));
        for path in quoted.filter(|word| !word.contains(['<', '*', '{', ' ', '\n'])) {
            assert!(root.join(path).exists(), "{} names {path}", document.display());
        }
    }
}

/// `module::test` in the guide to what is promised is a function `test` in a file `module.rs`, or in a folder of that
/// name.
#[test]
fn the_tests_that_are_cited_exist() {
    let root = root();
    let mut found = Vec::new();
    files(&root.join("crates"), "rs", &mut found);
    let sources: Vec<(String, String)> = found
        .iter()
        .map(|path| {
            let place = path.with_extension("").to_str().unwrap().replace('-', "_");
            (place.trim_end_matches("/mod").to_owned(), std::fs::read_to_string(path).unwrap())
        })
        .collect();
    let exists = |cited: &str| {
        let (module, test) = cited.rsplit_once("::").unwrap();
        let (place, function) = (format!("/{}", module.replace("::", "/")), format!("fn {test}("));
        sources.iter().any(|(path, text)| path.ends_with(&place) && text.contains(&function))
    };
    let text = std::fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let words = text.split('`').skip(1).step_by(2).filter(|word| word.contains("::"));
    // Whole modules, as arguments of a command or as examples.
    let cited: Vec<_> = words.filter(|word| !word.ends_with("::") && !word.contains([' ', '*'])).collect();
    assert!(cited.len() > 50);
    let missing: Vec<_> = cited.into_iter().filter(|cited| *cited != "crash::x" && !exists(cited)).collect();
    assert_eq!(missing, [""; 0], "docs/reliability.md cites tests that are not there");
}

/// `cargo deny` says the same where it is installed.
#[test]
fn what_has_an_advisory_is_not_locked() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    // RUSTSEC-2023-0071: no version of it is without.
    assert!(!lock.contains("name = \"rsa\""), "crates/infra-auth/src/tokens/signing.rs does without");
}
