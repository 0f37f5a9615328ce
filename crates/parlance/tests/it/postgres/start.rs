//! What a server requires of a Postgres before it starts.

use crate::harness::Process;
use test_support::Cluster;

/// The exit code and what was said on standard error.
fn start(url: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let mut arguments = arguments.to_vec();
    // Fails after the database was taken, so that nothing has to be stopped.
    arguments.extend(["--database-url", url, "--listen", "192.0.2.1:1"]);
    let output = Process::run(directory.path(), &arguments, &[]);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_postgres_that_may_lose_what_was_answered_is_refused_unless_allowed() {
    for (settings, refused) in [
        ("fsync = off", Some("fsync")),
        ("synchronous_commit = off", Some("synchronous_commit")),
        ("synchronous_commit = local\nfull_page_writes = off", None),
    ] {
        let Some(cluster) = Cluster::with(settings) else { return };
        let url = cluster.patient_url("postgres");
        let (code, said) = start(&url, &[]);
        assert_eq!(code, Some(1));
        match refused {
            Some(setting) => {
                assert!(said.contains(&format!("{setting} = off")) && said.contains("lost"), "{said}");
                let (_, said) = start(&url, &["--allow-unsafe-durability"]);
                assert!(said.contains("WARN") && said.contains(setting) && said.contains("PARLANCE_LISTEN"), "{said}");
            }
            None => assert!(said.contains("full_page_writes") && said.contains("PARLANCE_LISTEN"), "{said}"),
        }
    }
}

#[test]
fn a_database_that_is_not_there_is_told_without_its_password() {
    let (code, said) = start("postgres://parlance:hush@127.0.0.1:1/parlance", &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot open the database") && !said.contains("hush"), "{said}");
}
