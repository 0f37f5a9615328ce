//! Parses the `Content-Disposition` of a form's part as clients really send it.
//!
//! RFC 7578 defines one way to write a file's name, and clients use several. Browsers, curl and `requests` encode a
//! quote and line breaks as `%22`, `%0D` and `%0A`, and nothing else. Older clients escape quotes with a backslash, or
//! send Windows paths with bare backslashes. Some send `filename*`, which RFC 7578 forbids.

use percent_encoding::percent_decode;

/// The names in the head of a form's part.
#[derive(Debug, PartialEq, Eq)]
pub struct Disposition {
    /// The name of the field.
    pub name: String,
    /// The file name that the client gave, if any. As bytes it may be invalid UTF-8.
    pub file_name: Result<Option<String>, NotText>,
}

/// A file name with invalid UTF-8 or a NUL.
#[derive(Debug, PartialEq, Eq)]
pub struct NotText;

impl Disposition {
    /// Parses the header's value. `None` if it is not that of a form's part, or has no readable name.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (kind, mut rest) = split_at(value, b';');
        if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
            return None;
        }
        let (mut name, mut plain, mut extended) = (None, None, None);
        while !rest.is_empty() {
            let parameter = rest.iter().position(|byte| matches!(byte, b'=' | b';')).unwrap_or(rest.len());
            let (key, behind) = rest.split_at(parameter);
            let Some(behind) = behind.strip_prefix(b"=") else {
                // A parameter without a value has no meaning.
                rest = behind.get(1..).unwrap_or_default();
                continue;
            };
            let (given, behind) = parameter_value(behind)?;
            rest = behind;
            let key = key.trim_ascii();
            let place = if key.eq_ignore_ascii_case(b"name") {
                &mut name
            } else if key.eq_ignore_ascii_case(b"filename") {
                &mut plain
            } else if key.eq_ignore_ascii_case(b"filename*") {
                &mut extended
            } else {
                continue;
            };
            place.get_or_insert(given);
        }
        let name = String::from_utf8(name?).ok().filter(|name| !name.is_empty())?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or(NotText);
        let extended = extended.and_then(|value| extended_value(&value));
        let file_name = extended.or_else(|| plain.map(|plain| unescaped(&plain)));
        Some(Self { name, file_name: file_name.map(text).transpose() })
    }
}

/// Splits at the first occurrence of a byte.
fn split_at(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|&byte| byte == at).unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

/// A parameter's value without quotes, and the rest behind it; `None` if a quote is not closed.
fn parameter_value(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let bytes = bytes.trim_ascii_start();
    let Some(quoted) = bytes.strip_prefix(b"\"") else {
        let (token, rest) = split_at(bytes, b';');
        return Some((token.trim_ascii().to_vec(), rest));
    };
    let mut value = Vec::new();
    let mut left = quoted;
    loop {
        left = match left {
            [] => return None,
            // A Windows path that ends in a backslash: no other quote closes it.
            [b'\\', b'"', rest @ ..] if rest.trim_ascii().is_empty() => {
                value.push(b'\\');
                return Some((value, b""));
            }
            [b'\\', escaped @ (b'"' | b'\\'), rest @ ..] => {
                value.push(*escaped);
                rest
            }
            [b'"', rest @ ..] => match rest.trim_ascii_start() {
                [] => return Some((value, b"")),
                [b';', rest @ ..] => return Some((value, rest)),
                // A quote that the client forgot to escape.
                _ => {
                    value.push(b'"');
                    rest
                }
            },
            [byte, rest @ ..] => {
                value.push(*byte);
                rest
            }
        };
    }
}

/// Undoes the encoding that browsers apply to file names. Every other percent sign stands for itself.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut left = name;
    while let [first, rest @ ..] = left {
        let (byte, behind) = match left {
            [b'%', b'2', b'2', behind @ ..] => (b'"', behind),
            [b'%', b'0', b'd' | b'D', behind @ ..] => (b'\r', behind),
            [b'%', b'0', b'a' | b'A', behind @ ..] => (b'\n', behind),
            _ => (*first, rest),
        };
        plain.push(byte);
        left = behind;
    }
    plain
}

/// The bytes of an extended value (RFC 8187, `UTF-8'en'na%C3%AFve`), which some clients put into quotes; `None` if it
/// is malformed. The parser accepts more literal characters than the RFC, because `encodeURIComponent` does not encode
/// brackets and stars.
fn extended_value(value: &[u8]) -> Option<Vec<u8>> {
    let (charset, rest) = value.split_at(value.iter().position(|&byte| byte == b'\'')?);
    let (language, encoded) = rest[1..].split_at(rest[1..].iter().position(|&byte| byte == b'\'')?);
    let encoded = &encoded[1..];
    let is_language = language.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    let is_plain = encoded.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    let hex = |digits: &[u8]| digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit);
    let mut percents = encoded.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    if !is_language || !is_plain || !percents.all(|(at, _)| encoded.get(at + 1..at + 3).is_some_and(hex)) {
        return None;
    }
    let bytes: Vec<u8> = percent_decode(encoded).collect();
    if charset.eq_ignore_ascii_case(b"UTF-8") {
        std::str::from_utf8(&bytes).is_ok().then_some(bytes)
    } else if charset.eq_ignore_ascii_case(b"ISO-8859-1") {
        Some(bytes.into_iter().map(char::from).collect::<String>().into_bytes())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::files::FileName;
    use proptest::prelude::*;

    /// The resulting file name of a part.
    fn called(parameters: &[u8]) -> Option<String> {
        let value = [b"form-data; name=\"file\"; ", parameters].concat();
        let disposition = Disposition::parse(&value).unwrap_or_else(|| panic!("{}", value.escape_ascii()));
        assert_eq!(disposition.name, "file");
        disposition.file_name.unwrap().map(|name| FileName::clean(&name).into_string())
    }

    #[test]
    fn names_are_taken_as_clients_send_them() {
        for (parameters, name) in [
            (&b"filename=\"a.txt\""[..], "a.txt"),
            (b"filename=a.txt", "a.txt"),
            (b"FileName = \"a.txt\" ; x=y", "a.txt"),
            (b"filename=\"a;b.txt\"", "a;b.txt"),
            // curl from 7.81 on, browsers, requests, fetch.
            (b"filename=\"say %22hi%22.txt\"", "say \"hi\".txt"),
            (b"filename=\"a%0D%0Ab%0ac%0dd.txt\"", "a b c d.txt"),
            (b"filename=\"100%25 %41%2F.txt\"", "100%25 %41%2F.txt"),
            (b"filename=\"100%.txt\"", "100%.txt"),
            (b"filename=\"%2\"", "%2"),
            // Older clients.
            (b"filename=\"say \\\"hi\\\".txt\"", "say \"hi\".txt"),
            (b"filename=\"a\\\"\"", "a\""),
            (b"filename=\"C:\\dir\\a.txt\"", "a.txt"),
            (b"filename=\"C:\\\\dir\\\\a.txt\"", "a.txt"),
            (b"filename=\"C:\\dir\\\"", "file"),
            (b"filename=\"dir/a.txt\"", "a.txt"),
            (b"filename=C:\\dir\\a.txt", "a.txt"),
            (b"filename=\"a\"b.txt\"", "a\"b.txt"),
            ("filename=\"naïve 🙂.txt\"".as_bytes(), "naïve 🙂.txt"),
            (b"filename=\"\"", "file"),
            (b"filename=\"\xe2\x80\x8b\"", "file"),
            // `filename*`.
            (b"filename=\"x\"; filename*=UTF-8''na%C3%AFve%20%22x%22.txt", "naïve \"x\".txt"),
            (b"filename*=utf-8'en-GB'a.txt; filename=\"x\"", "a.txt"),
            (b"filename=\"x\"; filename*=\"UTF-8''a.txt\"", "a.txt"),
            (b"filename*=UTF-8''a(1)*'.txt", "a(1)*'.txt"),
            (b"filename*=iso-8859-1''%A3.txt", "£.txt"),
            (b"filename*=UTF-8''..%2F..%5Ca%0D%0Ab.txt", "a b.txt"),
            (b"filename=\"\xff\"; filename*=UTF-8''a.txt", "a.txt"),
            // A malformed value.
            (b"filename=\"x\"; filename*=UTF-8''%zz", "x"),
            (b"filename=\"x\"; filename*=UTF-8''a%2", "x"),
            (b"filename=\"x\"; filename*=UTF-8''%ff", "x"),
            (b"filename=\"x\"; filename*=UTF-8'a.txt", "x"),
            (b"filename=\"x\"; filename*=a.txt", "x"),
            (b"filename=\"x\"; filename*=UTF-16''a.txt", "x"),
            (b"filename*=UTF-8''a b.txt; filename=\"x\"", "x"),
            ("filename=\"x\"; filename*=UTF-8''ï".as_bytes(), "x"),
            (b"filename*=; filename=\"x\"", "x"),
            (b"filename; filename=\"x\"", "x"),
        ] {
            assert_eq!(called(parameters).as_deref(), Some(name), "{}", parameters.escape_ascii());
        }
        assert_eq!(called(b""), None);
        assert_eq!(called(b"filename*=UTF-8''%zz"), None);
    }

    #[test]
    fn what_is_no_text_is_no_name() {
        for parameters in
            [&b"filename=\"\xff\""[..], b"filename=\"a\xc3\"", b"filename=\xed\xa0\x80", b"filename*=UTF-8''%00"]
        {
            let value = [b"form-data; name=\"file\"; ", parameters].concat();
            assert_eq!(Disposition::parse(&value).unwrap().file_name, Err(NotText), "{}", parameters.escape_ascii());
        }
        for value in [
            &b""[..],
            b"nonsense",
            b"attachment; name=\"x\"",
            b"form-data",
            b"form-data; name",
            b"form-data; x=y",
            b"form-data; name=\"\"",
            b"form-data; name=\"x",
            b"form-data; name=\"x\"; filename=\"y",
            b"form-data; name=\"\xff\"",
        ] {
            assert_eq!(Disposition::parse(value), None, "{}", value.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(value in prop::collection::vec(any::<u8>(), 0..200)) {
            Disposition::parse(&[b"form-data; name=x; filename=", &value[..]].concat());
            Disposition::parse(&[b"form-data; name=x; filename*=UTF-8''", &value[..]].concat());
        }

        #[test]
        fn a_name_comes_back_from_how_browsers_write_it(name in "[^\0\\\\]{0,50}") {
            let written = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
            let value = format!("form-data; name=\"file\"; filename=\"{written}\"");
            let read = Disposition::parse(value.as_bytes()).unwrap().file_name.unwrap().unwrap();
            let expected = written.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n");
            let expected = expected.replace("%0d", "\r").replace("%0a", "\n");
            prop_assert_eq!(read, expected);
        }
    }
}
