//! `parlance healthcheck`: reports readiness by its exit code, for containers and supervisors.

use super::say;
use crate::config::Config;
use crate::probe;
use anyhow::bail;

/// Asks the server of this configuration, on this machine, whether it is ready.
///
/// It asks `/ready` and not `/health`, which succeeds as long as the process lives: a supervisor that waits for a
/// healthy container wants to use it.
///
/// # Errors
/// A message for the operator if the server is not ready or not there.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let listen = &config.http.listen;
    match probe::ask(listen) {
        Some(said) if said.status == Some(200) => say("ready"),
        Some(said) => match said.status {
            Some(status) => bail!("the server on {listen} is not ready: it answers {status}"),
            None => bail!("the process that listens on {listen} does not answer"),
        },
        None if listen.ends_with(":0") => {
            bail!("PARLANCE_LISTEN is {listen}: this command cannot know which port the server picked")
        }
        None => bail!("nothing listens on {listen}"),
    }
}
