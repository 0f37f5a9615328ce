//! Building blocks for values that are text.

use crate::error::Invalid;

/// Refuses a NUL. Postgres cannot store it, and C libraries cut a text at it.
pub(crate) fn without_nul(field: &'static str, text: &str) -> Result<(), Invalid> {
    if text.contains('\0') { Err(Invalid::new(field, format!("{field} contains a NUL"))) } else { Ok(()) }
}

/// Refuses more than `most` Unicode scalar values.
pub(crate) fn at_most(field: &'static str, text: &str, most: usize) -> Result<(), Invalid> {
    // A text has at least as many bytes as characters, so that short texts need no count.
    if text.len() > most && text.chars().count() > most {
        return Err(Invalid::new(field, format!("{field} is longer than {most} characters")));
    }
    Ok(())
}

/// The parts that all newtypes over a valid text share.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        // Deserialized without a check, like a row of the database: the node that sent it has checked it.
        #[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(String);

        impl $name {
            /// A value that was valid when it was stored. Only for adapters that read their own rows; input is parsed.
            pub fn from_stored(stored: String) -> Self {
                Self(stored)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use text_type;
