//! `parlance reindex`.

use super::bar::Bar;
use super::say;
use crate::config::Config;
use crate::reindex::{Sizes, sizes};
use anyhow::Context as _;
use infra_diesel::Reindex;

/// Makes anew what the server derives from its data.
///
/// # Errors
/// In words for the operator.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    search(config).await?;
    let Sizes { read, unreadable } = sizes(config).await?;
    say(format_args!("read the sizes of {read} images; {unreadable} files of an image's type cannot be read"))
}

/// Makes the index of the search anew. A running server goes on with the old one until the new one is whole.
async fn search(config: &Config) -> anyhow::Result<()> {
    let failed = "the index of the search was not made anew; a server makes an index when it starts";
    let reindex = Reindex::begin(&config.database_url).await.context(failed)?;
    let mut bar = Bar::new();
    while let Some(percent) =
        reindex.step().await.context("the index of the search was not finished; a server makes the rest")?
    {
        bar.draw("search index", percent.into(), 100);
    }
    bar.clear();
    say("the index of the search is new")
}
