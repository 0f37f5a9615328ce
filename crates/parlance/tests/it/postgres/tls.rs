//! TLS to the database, in the released build.

use super::serve;
use crate::harness::Process;
use serde_json::json;
use std::process::Command;
use test_support::Cluster;

#[actix_web::test]
async fn tls_is_spoken_and_the_certificate_is_verified() {
    let Some((cluster, certificates)) = Cluster::with_tls() else { return };
    let port = cluster.port().unwrap();
    let url = |host: &str, rest: &str| format!("postgres://postgres@{host}:{port}/postgres?{rest}");
    let by = |authority: &std::path::Path| format!("sslmode=verify-full&sslrootcert={}", authority.display());
    let directory = tempfile::tempdir().unwrap();
    for good in [url("127.0.0.1", "sslmode=require"), url("localhost", &by(&certificates.authority))] {
        let server = serve(directory.path(), &good);
        let account = json!({ "username": format!("user{}", good.len()), "password": "12345678" });
        server.client.post("/signup", account).await.expect(201);
        server.client.get("/ready").await.expect(200);
    }
    for (bad, why) in [
        (url("127.0.0.1", "sslmode=disable"), "no encryption"),
        (url("127.0.0.1", &by(&certificates.authority)), "does not match host name"),
        (url("localhost", &by(&certificates.stranger)), "certificate verify failed"),
    ] {
        let refused = Process::run(directory.path(), &["serve", "--database-url", &bad], &[]);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(1) && said.contains(why), "{bad}: {said}");
    }
}

#[test]
fn the_binary_needs_no_library_of_libpq_openssl_or_sqlite() {
    let Ok(output) = Command::new("ldd").arg(env!("CARGO_BIN_EXE_parlance")).output() else { return };
    let libraries = String::from_utf8(output.stdout).unwrap();
    for library in ["libpq", "libssl", "libcrypto", "sqlite"] {
        assert!(!libraries.contains(library), "{libraries}");
    }
}
