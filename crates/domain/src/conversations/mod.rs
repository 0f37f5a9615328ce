//! The list of a user's conversations, and how the user arranges them.

mod model;
mod ports;
mod service;

pub use model::{Activity, Conversation, ConversationCursor, ConversationFilter, Counterpart, Opened};
pub use ports::ConversationRepository;
#[cfg(feature = "mocks")]
pub use ports::MockConversationRepository;
pub use service::ConversationService;
