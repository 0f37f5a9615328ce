//! The `AWS_...` variables: where the bucket is, and the credentials. As in other programs, only the environment sets
//! them.

use super::source::held_in;
use anyhow::{anyhow, ensure};
use std::ffi::OsString;
use std::path::Path;

/// The variables that are credentials. Each may also name a file that holds the value, as with the server's own
/// secrets.
const SECRETS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Returns the variables, with the contents of the files that they name. An empty variable counts as unset.
///
/// # Errors
/// An error if the environment gives a secret twice, or if its file is empty.
pub fn variables(
    environment: impl Iterator<Item = (OsString, OsString)>,
    here: &Path,
) -> anyhow::Result<Vec<(String, String)>> {
    let texts = environment.filter_map(|(name, value)| name.into_string().ok().zip(Some(value)));
    let (mut given, mut held) = (Vec::new(), Vec::new());
    for (name, value) in texts.filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty()) {
        let value = value.into_string().map_err(|_| anyhow!("{name}: is not UTF-8 (environment)"))?;
        match SECRETS.into_iter().find(|secret| name.strip_suffix("_FILE") == Some(secret)) {
            Some(secret) => held.push((secret, name, value)),
            None => given.push((name, value)),
        }
    }
    for (secret, name, path) in held {
        let twice = given.iter().any(|(other, _)| other == secret);
        ensure!(!twice, "{secret} and {name} are both given: use one of them (environment)");
        given.push((secret.to_owned(), held_in(&name, &here.join(path))?));
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], here: &Path) -> Result<Vec<(String, String)>, String> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        super::variables(variables, here).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn credentials_may_come_in_files_and_nothing_else_does() {
        let here = tempfile::tempdir().unwrap();
        std::fs::write(here.path().join("key"), "hush\n").unwrap();
        std::fs::write(here.path().join("empty"), "\n").unwrap();
        let given = [("HOME", "/"), ("AWS_REGION", "eu"), ("AWS_SECRET_ACCESS_KEY_FILE", "key"), ("AWS_PROFILE", "")];
        let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read(&given, here.path()).unwrap(),
            [owned("AWS_REGION", "eu"), owned("AWS_SECRET_ACCESS_KEY", "hush")]
        );
        // This variable names a file that S3 clients read themselves.
        let token = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token")];
        assert_eq!(read(&token, here.path()).unwrap(), [owned(token[0].0, token[0].1)]);
        for (variables, named) in [
            (&[("AWS_SESSION_TOKEN", "a"), ("AWS_SESSION_TOKEN_FILE", "key")][..], "AWS_SESSION_TOKEN_FILE are both"),
            (&[("AWS_ACCESS_KEY_ID_FILE", "nowhere")], "AWS_ACCESS_KEY_ID_FILE: cannot read"),
            (&[("AWS_ACCESS_KEY_ID_FILE", "empty")], "AWS_ACCESS_KEY_ID_FILE:"),
        ] {
            let refusal = read(variables, here.path()).unwrap_err();
            assert!(refusal.contains(named) && !refusal.contains("hush"), "{refusal}");
        }
    }
}
