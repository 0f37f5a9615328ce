//! Makes certificates, with the program `openssl`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A certificate for `localhost` and who vouches for it.
#[derive(Debug)]
pub struct Certificates {
    /// Of the CA that has signed it.
    pub authority: PathBuf,
    /// Of another CA, which has not.
    pub stranger: PathBuf,
    /// Of the server.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes them in the directory; `None` where there is no `openssl` (a failure where `CI` is set).
    pub fn make(directory: &Path) -> Option<Self> {
        if !Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success()) {
            assert!(std::env::var_os("CI").is_none(), "CI without openssl: nothing may be left out there");
            eprintln!("\n!!! openssl is not installed: TLS TO POSTGRES IS NOT TESTED !!!\n");
            return None;
        }
        let file = |name: &str| directory.join(name);
        let (authority, authority_key, stranger) = (file("ca.pem"), file("ca.key"), file("stranger.pem"));
        let (certificate, key) = (file("server.pem"), file("server.key"));
        run(request("parlance-tests", &authority_key, &authority)
            .args(["-addext", "basicConstraints=critical,CA:TRUE"]));
        run(request("stranger", &file("stranger.key"), &stranger)
            .args(["-addext", "basicConstraints=critical,CA:TRUE"]));
        let mut signed = request("localhost", &key, &certificate);
        signed.args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]);
        run(signed.arg("-CA").arg(&authority).arg("-CAkey").arg(&authority_key));
        Some(Self { authority, stranger, certificate, key })
    }
}

/// Makes a key and a certificate, signed by itself unless told otherwise.
fn request(name: &str, key: &Path, certificate: &Path) -> Command {
    let mut command = Command::new("openssl");
    // Not the system's configuration, which may add what is added here.
    let configuration = certificate.with_extension("cnf");
    std::fs::write(&configuration, "[req]\ndistinguished_name = name\n[name]\n").unwrap();
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    command.arg("-config").arg(configuration).arg("-subj").arg(format!("/CN={name}"));
    command.arg("-keyout").arg(key).arg("-out").arg(certificate);
    command
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
