//! The service of live connections. `catch_up` and `typing` contain its methods.

use super::ports::LiveReader;
use crate::groups::GroupRepository;
use crate::users::UserRepository;
use std::sync::Arc;

/// Plans how a live connection begins, and finds the audience of a typing signal.
pub struct LiveService {
    /// Stores users.
    pub users: Arc<dyn UserRepository>,
    /// Stores groups.
    pub groups: Arc<dyn GroupRepository>,
    /// Reads what happened, and whether two users know each other.
    pub live: Arc<dyn LiveReader>,
}
