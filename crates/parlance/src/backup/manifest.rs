//! The manifest of a backup, and the names that its entries may have.

use domain::FileId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format version that this program writes and reads.
pub const FORMAT: u32 = 1;

/// The name of an entry. The program extracts nothing else from a backup, so no name can lead to another path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// The database, as a SQLite file.
    Database,
    /// The bytes of a file.
    Blob(FileId),
    /// The secret that signs tokens, if the operator asked for it.
    Secret,
    /// The manifest; the last entry before the seal.
    Manifest,
}

impl Name {
    /// `None` for every other name.
    pub fn parse(text: &str) -> Option<Self> {
        let name = match text {
            "parlance.db" => Self::Database,
            "jwt-secret" => Self::Secret,
            "manifest.json" => Self::Manifest,
            _ => Self::Blob(FileId::parse("name", text.strip_prefix("uploads/")?).ok()?),
        };
        // Each name has exactly one spelling.
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
    /// The version of the program that wrote it.
    pub parlance: String,
    /// The time of the backup, in RFC 3339.
    pub made_at: String,
    /// The number of rows per table.
    pub rows: BTreeMap<String, u64>,
    /// Files whose rows exist and whose bytes were missing.
    pub missing: Vec<String>,
    /// All entries except the manifest.
    pub entries: Vec<Entry>,
}

/// The manifest's description of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its [`Name`].
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in hex.
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
