//! The possible values of JSON fields that hold one word of a few, for the OpenAPI document.

use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

/// The kinds of conversations.
pub const KINDS: &[&str] = &["direct", "group", "broadcast"];
/// The types of messages.
pub const TYPES: &[&str] = &["text", "image", "file"];
/// The visibilities of groups.
pub const VISIBILITIES: &[&str] = &["private", "public"];
/// The roles of members.
pub const ROLES: &[&str] = &["owner", "admin", "member"];

fn one_of(words: &[&str]) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied()))
}

/// Schema of [`KINDS`].
pub fn kind_word() -> Object {
    one_of(KINDS).build()
}

/// Schema of [`TYPES`].
pub fn type_word() -> Object {
    one_of(TYPES).build()
}

/// Schema of [`VISIBILITIES`].
pub fn visibility_word() -> Object {
    one_of(VISIBILITIES).build()
}

/// Schema of [`ROLES`].
pub fn role_word() -> Object {
    one_of(ROLES).build()
}

/// Schema of a role or null.
pub fn role_or_null() -> Object {
    let words = ROLES.iter().map(|role| Some(*role)).chain([None]);
    let object = ObjectBuilder::new().enum_values(Some(words));
    object.schema_type(SchemaType::from_iter([Type::String, Type::Null])).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::groups::{Role, Visibility};
    use domain::messages::MessageType;

    #[test]
    fn the_words_are_the_domains() {
        assert!(TYPES.iter().all(|word| MessageType::parse(word).is_ok_and(|parsed| parsed.as_str() == *word)));
        assert!(VISIBILITIES.iter().all(|word| Visibility::parse(word).is_ok_and(|parsed| parsed.as_str() == *word)));
        assert!(ROLES.iter().all(|word| Role::parse(word).is_ok_and(|parsed| parsed.as_str() == *word)));
    }
}
