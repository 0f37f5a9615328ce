//! Whether a request is for the file as it is, and which part of it is asked for (RFC 9110, sections 13 and 14).

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, EntityTag, Header, IfMatch, IfNoneMatch, IfRange};
use domain::files::ByteRange;

/// What to answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Something else than what is there.
    Another,
    /// Nothing: the client has it.
    NotModified,
    /// All of it.
    Whole,
    /// A part of it.
    Part(ByteRange),
    /// A part that it does not have.
    Unsatisfiable,
}

impl Wanted {
    /// What is wanted of something that is `size` bytes long and known under `tag`.
    ///
    /// One range is served; several are answered with the whole, as are ranges in other units or of no known form: a
    /// server may always do so. Conditions are asked in the order of RFC 9110, 13.2.2. Those by dates hold for nothing,
    /// and a date in `If-Range` never matches, since files are given no dates.
    pub fn of(request: &HttpRequest, tag: &EntityTag, size: u64) -> Self {
        let is_what_is_meant = match IfMatch::parse(request) {
            Ok(IfMatch::Any) => true,
            Ok(IfMatch::Items(tags)) => tags.iter().any(|known| known.strong_eq(tag)),
            // What cannot be read names nothing.
            Err(_) => false,
        };
        if !is_what_is_meant && request.headers().contains_key(header::IF_MATCH) {
            return Self::Another;
        }
        match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => return Self::NotModified,
            Ok(IfNoneMatch::Items(tags)) if tags.iter().any(|known| known.weak_eq(tag)) => return Self::NotModified,
            _ => {}
        }
        let current = !request.headers().contains_key(header::IF_RANGE)
            || matches!(IfRange::parse(request), Ok(IfRange::EntityTag(known)) if known.strong_eq(tag));
        let mut ranges = request.headers().get_all(header::RANGE);
        match (ranges.next(), ranges.next()) {
            (Some(range), None) if current && request.method() == Method::GET => {
                range.to_str().map_or(Self::Whole, |range| part(range, size))
            }
            _ => Self::Whole,
        }
    }
}

fn part(range: &str, size: u64) -> Wanted {
    let Some((unit, ranges)) = range.split_once('=') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let mut ranges = ranges.split(',').map(str::trim).filter(|range| !range.is_empty());
    let (Some(one), None) = (ranges.next(), ranges.next()) else { return Wanted::Whole };
    let (start, end) = match one.split_once('-').map(|(first, last)| (number(first), number(last))) {
        Some((Number::Is(first), Number::Is(last))) if first <= last => (first, last.saturating_add(1).min(size)),
        Some((Number::Is(first), Number::Absent)) => (first, size),
        Some((Number::Absent, Number::Is(suffix))) => (size - suffix.min(size), size),
        _ => return Wanted::Whole,
    };
    if start < end { Wanted::Part(ByteRange { start, end }) } else { Wanted::Unsatisfiable }
}

enum Number {
    Absent,
    Is(u64),
    Malformed,
}

/// Digits; more than 64 bits hold lies behind the end of every file, as the largest number does.
fn number(text: &str) -> Number {
    match text {
        "" => Number::Absent,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Number::Is(digits.parse().unwrap_or(u64::MAX)),
        _ => Number::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    const SIZE: u64 = 10;

    fn wanted(headers: &[(&str, &str)]) -> Wanted {
        let request = headers.iter().fold(TestRequest::get(), |request, header| request.append_header(*header));
        Wanted::of(&request.to_http_request(), &EntityTag::new_strong("abc".to_owned()), SIZE)
    }

    #[test]
    fn one_range_is_served() {
        for (range, start, end) in [
            ("bytes=0-0", 0, 1),
            ("bytes=2-5", 2, 6),
            ("Bytes=2-5", 2, 6),
            ("bytes=2-", 2, 10),
            ("bytes=9-99", 9, 10),
            ("bytes=-3", 7, 10),
            ("bytes=-99", 0, 10),
            ("bytes= 2-5 ,", 2, 6),
            ("bytes=0-18446744073709551615", 0, 10),
            ("bytes=0-99999999999999999999999", 0, 10),
            ("bytes=-99999999999999999999999", 0, 10),
        ] {
            assert_eq!(wanted(&[("range", range)]), Wanted::Part(ByteRange { start, end }), "{range}");
        }
    }

    #[test]
    fn what_is_not_there_cannot_be_had() {
        for range in ["bytes=10-", "bytes=10-20", "bytes=99999999999999999999999-", "bytes=-0"] {
            assert_eq!(wanted(&[("range", range)]), Wanted::Unsatisfiable, "{range}");
        }
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(part(range, 0), Wanted::Unsatisfiable, "{range}");
        }
    }

    #[test]
    fn everything_else_gets_the_whole() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=,",
            "bytes=5-2",
            "bytes=a-b",
            "bytes=1",
            "bytes=+1-2",
            "bytes=--1",
            "bytes=0x1-",
            "bytes=1-2-3",
            "bytes=0-1,3-4",
            "items=0-1",
            "0-1",
        ] {
            assert_eq!(wanted(&[("range", range)]), Wanted::Whole, "{range}");
        }
        assert_eq!(wanted(&[("range", "bytes=0-1"), ("range", "bytes=3-4")]), Wanted::Whole);
        assert_eq!(wanted(&[]), Wanted::Whole);
    }

    #[test]
    fn a_range_is_of_the_version_that_the_client_has() {
        let part = Wanted::Part(ByteRange { start: 0, end: 2 });
        for (if_range, expected) in [
            ("\"abc\"", part),
            ("\"abd\"", Wanted::Whole),
            ("W/\"abc\"", Wanted::Whole),
            ("abc", Wanted::Whole),
            ("Sat, 29 Oct 1994 19:43:31 GMT", Wanted::Whole),
        ] {
            assert_eq!(wanted(&[("range", "bytes=0-1"), ("if-range", if_range)]), expected, "{if_range}");
        }
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        for tags in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert_eq!(wanted(&[("if-none-match", tags), ("range", "bytes=0-1")]), Wanted::NotModified, "{tags}");
        }
        assert_eq!(wanted(&[("if-none-match", "\"x\"")]), Wanted::Whole);
    }

    #[test]
    fn what_has_become_another_is_not_sent() {
        let other = "\"x\"";
        for tags in [other, "W/\"abc\"", "abc", "", "\"x\", W/\"abc\"", "\u{e9}"] {
            for more in [("range", "bytes=0-1"), ("if-none-match", "*"), ("if-range", "\"abc\"")] {
                assert_eq!(wanted(&[("if-match", tags), more]), Wanted::Another, "{tags} {more:?}");
            }
        }
        for tags in ["\"abc\"", "*", "\"x\", \"abc\"", "\"x\",\"abc\","] {
            assert_eq!(wanted(&[("if-match", tags)]), Wanted::Whole, "{tags}");
            assert_eq!(wanted(&[("if-match", tags), ("if-none-match", "\"abc\"")]), Wanted::NotModified, "{tags}");
            let part = wanted(&[("if-match", tags), ("if-none-match", other), ("range", "bytes=0-1")]);
            assert_eq!(part, Wanted::Part(ByteRange { start: 0, end: 2 }), "{tags}");
        }
        assert_eq!(wanted(&[("if-match", other), ("if-match", "\"abc\"")]), Wanted::Whole);
    }

    #[test]
    fn only_get_has_ranges() {
        let request = TestRequest::default().method(Method::HEAD).append_header(("range", "bytes=0-1"));
        let tag = EntityTag::new_strong("abc".to_owned());
        assert_eq!(Wanted::of(&request.to_http_request(), &tag, SIZE), Wanted::Whole);
    }
}
