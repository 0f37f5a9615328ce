//! Prefixes as ranges: an index serves them, and there are no wildcards to escape.

/// The first text, by code point, behind all texts that begin with `prefix`. `None` for an empty prefix, and if there
/// is none.
pub fn upper_bound(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_character_is_counted_up() {
        assert_eq!(upper_bound("ab").as_deref(), Some("ac"));
        assert_eq!(upper_bound("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(upper_bound("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(upper_bound(""), None);
    }

    proptest! {
        #[test]
        fn the_range_is_the_prefix(prefix in "\\PC{1,6}", text in "\\PC{0,8}") {
            let Some(end) = upper_bound(&prefix) else { return Ok(()) };
            for text in [text.clone(), format!("{prefix}{text}")] {
                prop_assert_eq!(text >= prefix && text < end, text.starts_with(&prefix));
            }
        }
    }
}
