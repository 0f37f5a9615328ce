//! Pages of lists.

use crate::error::Invalid;

/// Most entries of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit(u16);

impl Limit {
    /// Most entries of a page of a list (`docs/api.md`, Conventions).
    pub const MAX: u16 = 200;
    /// Most entries of a page of a long history.
    pub const MAX_HISTORY: u16 = 1000;

    /// A list's limit: 1 to 200, 50 if the client does not say.
    ///
    /// # Errors
    /// [`Invalid`] naming `limit`.
    pub fn of_list(asked: Option<u64>) -> Result<Self, Invalid> {
        Self::within(asked.unwrap_or(50), Self::MAX)
    }

    /// A history's limit: 1 to 1000, 1000 if the client does not say.
    ///
    /// # Errors
    /// [`Invalid`] naming `limit`.
    pub fn of_history(asked: Option<u64>) -> Result<Self, Invalid> {
        Self::within(asked.unwrap_or(u64::from(Self::MAX_HISTORY)), Self::MAX_HISTORY)
    }

    fn within(asked: u64, most: u16) -> Result<Self, Invalid> {
        match u16::try_from(asked) {
            Ok(limit) if (1..=most).contains(&limit) => Ok(Self(limit)),
            _ => Err(Invalid::new("limit", format!("limit must be from 1 to {most}"))),
        }
    }

    /// Most entries.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// At most as many entries as the limit.
    pub items: Vec<T>,
    /// Whether another page follows in the direction of reading.
    pub more: bool,
}

impl<T> Page<T> {
    /// Makes a page of up to one entry more than the limit. An extra entry says that another page follows; it is
    /// dropped.
    pub fn from_surplus(mut items: Vec<T>, limit: Limit) -> Self {
        let more = items.len() > limit.get();
        items.truncate(limit.get());
        Self { items, more }
    }
}
