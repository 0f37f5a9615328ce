//! Evaluates conditions and ranges of a request for a file (RFC 9110, sections 13 and 14).

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, EntityTag, Header, IfMatch, IfNoneMatch, IfRange};
use domain::files::ByteRange;

/// How the handler has to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeOutcome {
    /// With 412: the condition names another version.
    Another,
    /// With 304: the client has this version.
    NotModified,
    /// With the whole file.
    Whole,
    /// With a part of the file.
    Part(ByteRange),
    /// With 416: the file does not have the requested part.
    Unsatisfiable,
}

impl RangeOutcome {
    /// Evaluates the request for a file of `size` bytes whose entity tag is `tag`.
    ///
    /// The server serves one range. It answers several ranges, other units and unknown forms with the whole file, as a
    /// server may always do. It checks conditions in the order of RFC 9110, 13.2.2. It ignores conditions by date, and
    /// a date in `If-Range` never matches, because files have no dates.
    pub fn of(request: &HttpRequest, tag: &EntityTag, size: u64) -> Self {
        let is_what_is_meant = match IfMatch::parse(request) {
            Ok(IfMatch::Any) => true,
            Ok(IfMatch::Items(tags)) => tags.iter().any(|known| known.strong_eq(tag)),
            // An `If-Match` that the parser does not understand matches nothing.
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

fn part(range: &str, size: u64) -> RangeOutcome {
    let Some((unit, ranges)) = range.split_once('=') else { return RangeOutcome::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return RangeOutcome::Whole;
    }
    let mut ranges = ranges.split(',').map(str::trim).filter(|range| !range.is_empty());
    let (Some(one), None) = (ranges.next(), ranges.next()) else { return RangeOutcome::Whole };
    let (start, end) = match one.split_once('-').map(|(first, last)| (number(first), number(last))) {
        Some((Number::Is(first), Number::Is(last))) if first <= last => (first, last.saturating_add(1).min(size)),
        Some((Number::Is(first), Number::Absent)) => (first, size),
        Some((Number::Absent, Number::Is(suffix))) => (size - suffix.min(size), size),
        _ => return RangeOutcome::Whole,
    };
    if start < end { RangeOutcome::Part(ByteRange { start, end }) } else { RangeOutcome::Unsatisfiable }
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

    fn wanted(headers: &[(&str, &str)]) -> RangeOutcome {
        let request = headers.iter().fold(TestRequest::get(), |request, header| request.append_header(*header));
        RangeOutcome::of(&request.to_http_request(), &EntityTag::new_strong("abc".to_owned()), SIZE)
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
            assert_eq!(wanted(&[("range", range)]), RangeOutcome::Part(ByteRange { start, end }), "{range}");
        }
    }

    #[test]
    fn what_is_not_there_cannot_be_had() {
        for range in ["bytes=10-", "bytes=10-20", "bytes=99999999999999999999999-", "bytes=-0"] {
            assert_eq!(wanted(&[("range", range)]), RangeOutcome::Unsatisfiable, "{range}");
        }
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(part(range, 0), RangeOutcome::Unsatisfiable, "{range}");
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
            assert_eq!(wanted(&[("range", range)]), RangeOutcome::Whole, "{range}");
        }
        assert_eq!(wanted(&[("range", "bytes=0-1"), ("range", "bytes=3-4")]), RangeOutcome::Whole);
        assert_eq!(wanted(&[]), RangeOutcome::Whole);
    }

    #[test]
    fn a_range_is_of_the_version_that_the_client_has() {
        let part = RangeOutcome::Part(ByteRange { start: 0, end: 2 });
        for (if_range, expected) in [
            ("\"abc\"", part),
            ("\"abd\"", RangeOutcome::Whole),
            ("W/\"abc\"", RangeOutcome::Whole),
            ("abc", RangeOutcome::Whole),
            ("Sat, 29 Oct 1994 19:43:31 GMT", RangeOutcome::Whole),
        ] {
            assert_eq!(wanted(&[("range", "bytes=0-1"), ("if-range", if_range)]), expected, "{if_range}");
        }
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        for tags in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert_eq!(wanted(&[("if-none-match", tags), ("range", "bytes=0-1")]), RangeOutcome::NotModified, "{tags}");
        }
        assert_eq!(wanted(&[("if-none-match", "\"x\"")]), RangeOutcome::Whole);
    }

    #[test]
    fn what_has_become_another_is_not_sent() {
        let other = "\"x\"";
        for tags in [other, "W/\"abc\"", "abc", "", "\"x\", W/\"abc\"", "\u{e9}"] {
            for more in [("range", "bytes=0-1"), ("if-none-match", "*"), ("if-range", "\"abc\"")] {
                assert_eq!(wanted(&[("if-match", tags), more]), RangeOutcome::Another, "{tags} {more:?}");
            }
        }
        for tags in ["\"abc\"", "*", "\"x\", \"abc\"", "\"x\",\"abc\","] {
            assert_eq!(wanted(&[("if-match", tags)]), RangeOutcome::Whole, "{tags}");
            assert_eq!(
                wanted(&[("if-match", tags), ("if-none-match", "\"abc\"")]),
                RangeOutcome::NotModified,
                "{tags}"
            );
            let part = wanted(&[("if-match", tags), ("if-none-match", other), ("range", "bytes=0-1")]);
            assert_eq!(part, RangeOutcome::Part(ByteRange { start: 0, end: 2 }), "{tags}");
        }
        assert_eq!(wanted(&[("if-match", other), ("if-match", "\"abc\"")]), RangeOutcome::Whole);
    }

    #[test]
    fn only_get_has_ranges() {
        let request = TestRequest::default().method(Method::HEAD).append_header(("range", "bytes=0-1"));
        let tag = EntityTag::new_strong("abc".to_owned());
        assert_eq!(RangeOutcome::of(&request.to_http_request(), &tag, SIZE), RangeOutcome::Whole);
    }
}
