//! Query parameters of lists that are sorted by name.

use super::PathId;
use super::query::number;

use domain::{Invalid, Limit};
use serde::Deserialize;

/// The page of a searchable list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// The beginning of the names, ignoring case and normal form.
    q: Option<String>,
    /// The last entry of the previous page.
    #[param(value_type = Option<wire::Id>)]
    after: Option<String>,
    /// The most entries of the page; 50 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

impl ListQuery {
    /// Returns the prefix, read by `prefix`, the name to continue after, and the limit.
    ///
    /// # Errors
    /// [`Invalid`] naming `q`, `after` or `limit`.
    pub fn read<P, I: PathId>(
        &self,
        prefix: impl FnOnce(&str) -> Result<P, Invalid>,
    ) -> Result<(Option<P>, Option<I>, Limit), Invalid> {
        let prefix = self.q.as_deref().map(prefix).transpose()?;
        let (after, limit) = page(self.after.as_deref(), self.limit.as_deref())?;
        Ok((prefix, after, limit))
    }
}

/// The page of a list without search.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// The last entry of the previous page.
    #[param(value_type = Option<wire::Id>)]
    after: Option<String>,
    /// The most entries of the page; 50 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

impl PageQuery {
    /// Returns the name to continue after, and the limit.
    ///
    /// # Errors
    /// [`Invalid`] naming `after` or `limit`.
    pub fn read<I: PathId>(&self) -> Result<(Option<I>, Limit), Invalid> {
        page(self.after.as_deref(), self.limit.as_deref())
    }
}

fn page<I: PathId>(after: Option<&str>, limit: Option<&str>) -> Result<(Option<I>, Limit), Invalid> {
    let after = after.map(|id| I::parse("after", id)).transpose()?;
    Ok((after, Limit::of_list(number("limit", limit)?)?))
}
