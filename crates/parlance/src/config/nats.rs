//! The connection to other nodes.

use super::keys::{self, Key};
use super::secret::Secret;
use super::source::Source;
use anyhow::{bail, ensure};
use infra_live::NatsOptions;
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;

/// The settings of NATS, if it is configured.
pub fn options(source: &Source, database_url: &str, secret: Option<&Secret>) -> anyhow::Result<Option<NatsOptions>> {
    let path = |key: Key| source.optional(key, |text| Ok(PathBuf::from(text)));
    let (credentials, ca) = (path(keys::NATS_CREDENTIALS)?, path(keys::NATS_CA)?);
    let certificate = match (path(keys::NATS_CERT)?, path(keys::NATS_KEY)?) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => bail!("{} and {} go together", keys::NATS_CERT.name, keys::NATS_KEY.name),
    };
    let parse = |text: &str| NatsOptions::parse_servers(text).map_err(|error| error.to_string());
    let Some(servers) = source.optional(keys::NATS_URL, parse)? else { return Ok(None) };
    let key = keys::NATS_URL.name;
    ensure!(
        !database_url.starts_with("sqlite:"),
        "{key}: several nodes share a Postgres (DATABASE_URL=postgres://...); a SQLite file belongs to one server"
    );
    let Some(secret) = secret else {
        bail!(
            "{key}: several nodes need the same {}, because each verifies the tokens of the others",
            keys::JWT_SECRET.name
        );
    };
    Ok(Some(NatsOptions { servers, credentials, ca, certificate, prefix: prefix(secret) }))
}

/// Nodes that share a secret belong to one cluster, so several deployments may use one NATS. The name does not reveal
/// the secret.
fn prefix(secret: &Secret) -> String {
    let digest = Sha256::new().chain_update(b"parlance nodes").chain_update(secret.expose()).finalize();
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("parlance.{hex}")
}
