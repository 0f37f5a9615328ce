//! Building blocks for values that are text.

use crate::error::Invalid;

/// No text with a NUL is taken anywhere: Postgres cannot store it and C libraries cut at it.
pub(crate) fn without_nul(field: &'static str, text: &str) -> Result<(), Invalid> {
    if text.contains('\0') { Err(Invalid::new(field, format!("{field} contains a NUL"))) } else { Ok(()) }
}

/// At most `most` Unicode scalar values.
pub(crate) fn at_most(field: &'static str, text: &str, most: usize) -> Result<(), Invalid> {
    // Bytes are never fewer than characters, so that the common short text is not walked.
    if text.len() > most && text.chars().count() > most {
        return Err(Invalid::new(field, format!("{field} is longer than {most} characters")));
    }
    Ok(())
}

/// Common parts of the newtypes over a valid text.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        // Nodes believe each other as an adapter believes its own rows: what one sends was valid there.
        #[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(String);

        impl $name {
            /// A value that was valid when it was stored. For adapters that read their own rows; everything that
            /// comes from outside is parsed.
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
