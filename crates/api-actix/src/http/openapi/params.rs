//! Parameters that several routes accept.

use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// The header with the idempotency key, on every route that sends.
pub struct IdempotencyKeyHeader;

impl IntoParams for IdempotencyKeyHeader {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(64));
        let parameter = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .description(Some(
                "The same caller and key again answers 200 with the message as it is now, and stores nothing. \
                 One name space per user, kept as long as the message.",
            ))
            .schema(Some(text.examples([serde_json::json!("7f9c2ba4e88f827d")])));
        vec![parameter.build()]
    }
}
