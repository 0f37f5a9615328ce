//! Lists come in pages.

use crate::error::Invalid;

/// How many entries a page has at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u16);

impl Limit {
    /// The most entries of a list (`docs/api.md`, Conventions).
    pub const MAX: u16 = 200;
    /// The most entries of a history on the gochat surface.
    pub const MAX_HISTORY: u16 = 1000;

    /// A list's limit: 50 unless asked, 1 to 200.
    ///
    /// # Errors
    /// [`Invalid`] naming `limit`.
    pub fn of_list(asked: Option<u64>) -> Result<Self, Invalid> {
        Self::within(asked.unwrap_or(50), Self::MAX)
    }

    /// A gochat history's limit: 1000 unless asked, 1 to 1000.
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

    /// The number.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// Some entries of a list, and whether there are more in the direction it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// At most as many as the limit.
    pub items: Vec<T>,
    /// Whether another page follows.
    pub more: bool,
}

impl<T> Page<T> {
    /// From up to one entry more than the limit: the extra one only tells that there is more.
    pub fn from_surplus(mut items: Vec<T>, limit: Limit) -> Self {
        let more = items.len() > limit.get();
        items.truncate(limit.get());
        Self { items, more }
    }
}
