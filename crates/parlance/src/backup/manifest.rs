//! The manifest of a backup, and the names that its entries may have.

use domain::FileId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The form of backups that this program writes and reads.
pub const FORMAT: u32 = 1;

/// An entry of a backup. Nothing else is taken out of one: no name leads anywhere but to where these belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// The database, as a SQLite file.
    Database,
    /// A file's bytes.
    Blob(FileId),
    /// The secret that tokens are signed with, where it was asked for.
    Secret,
    /// What is in it; the last entry but for the seal.
    Manifest,
}

impl Name {
    /// `None` for anything that is in no backup.
    pub fn parse(text: &str) -> Option<Self> {
        let name = match text {
            "parlance.db" => Self::Database,
            "jwt-secret" => Self::Secret,
            "manifest.json" => Self::Manifest,
            _ => Self::Blob(FileId::parse("name", text.strip_prefix("uploads/")?).ok()?),
        };
        // A name has one spelling.
        (name.to_string() == text).then_some(name)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database => f.write_str("parlance.db"),
            Self::Secret => f.write_str("jwt-secret"),
            Self::Manifest => f.write_str("manifest.json"),
            Self::Blob(id) => write!(f, "uploads/{id}"),
        }
    }
}

/// The manifest of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of the program that made it.
    pub parlance: String,
    /// When, in RFC 3339.
    pub made_at: String,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
    /// Files that the database knows and whose bytes were not to be had.
    pub missing: Vec<String>,
    /// All entries but this one.
    pub entries: Vec<Entry>,
}

/// What is said of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its [`Name`].
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// Of its bytes, in hex.
    pub sha256: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_are_names() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        for name in ["parlance.db", "jwt-secret", "manifest.json", &format!("uploads/{id}")] {
            assert_eq!(Name::parse(name).unwrap().to_string(), name);
        }
        for name in
            ["", "/parlance.db", "../parlance.db", "uploads/../x", "uploads/", "/etc/passwd", "./jwt-secret", id]
        {
            assert_eq!(Name::parse(name), None, "{name}");
        }
        assert_eq!(Name::parse(&format!("uploads/{}", id.to_uppercase())), None);
    }
}
