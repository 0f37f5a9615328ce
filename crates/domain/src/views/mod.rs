//! What a conversation is to one user: settings and a draft. Others see nothing of it, and it takes no number.

mod drafts;
mod settings;

pub use drafts::{Draft, DraftContent, NewDraft};
pub use settings::{Archive, Mute, Notify, Settings, SettingsChange};
