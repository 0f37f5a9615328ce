//! JSON about the server itself.

use serde::Serialize;
use utoipa::ToSchema;

/// What a client may know of the server before a login.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Server {
    #[schema(examples("parlance"))]
    /// For people.
    pub name: &'static str,
    #[schema(examples("0.1.0"))]
    /// The version of the program.
    pub version: &'static str,
    /// Limits of what a client may send.
    pub limits: Limits,
    #[schema(examples(json!(["search", "push"])))]
    /// Those of the features that a server may lack and this one has.
    pub features: Vec<&'static str>,
    /// How users become known to the server.
    pub login: LoginWays,
}

/// Limits of what a client may send.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Limits {
    #[schema(examples(4096))]
    /// The most characters of a message's content.
    pub content: usize,
    #[schema(examples(52428800))]
    /// The most bytes of a file.
    pub file_bytes: u64,
}

/// How users become known to the server.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LoginWays {
    /// Whether a password logs a user in.
    pub password: bool,
    /// Whether anybody may sign up.
    pub sign_up: bool,
}
