//! Live connections: catching up with what was missed, and what is told but kept nowhere.

mod catch_up;
mod ports;
mod typing;

pub use catch_up::{CatchUp, CatchUpPlan, Resync, ResyncReason, Since};
#[cfg(feature = "mocks")]
pub use ports::MockLiveReader;
pub use ports::{LiveReader, Missed, MissedIn, Roster};
pub use typing::{SignalTyping, Typing, TypingThrottle};
