//! Pages of a list over HTTP: a plain array, and `Link: <...>; rel="next"` while there are more pages.

use super::extract::{number, pairs};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::Invalid;
use domain::messages::Update;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use std::fmt::Write;
use wire::PublicUrl;

/// Characters that would end the reference or may not be part of one.
const PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'?').add(b'#');
/// Characters that a query need not encode (RFC 3986, unreserved).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A cursor that is a number of a conversation's counter. Clients take it as opaque.
///
/// # Errors
/// [`Invalid`] naming `field`.
pub fn cursor(field: &'static str, text: Option<&str>) -> Result<Option<Update>, Invalid> {
    let number = number(field, text).ok().flatten().and_then(|number| i64::try_from(number).ok());
    match (text, number) {
        (None, _) => Ok(None),
        (Some(_), Some(number)) => Ok(Some(Update(number))),
        (Some(_), None) => Err(Invalid::new(field, format!("{field} is no cursor of this list"))),
    }
}

/// Answers 200 with the entries of a page. `next` is the query parameter for the following page, if there is one.
pub fn page<T: Serialize>(
    request: &HttpRequest,
    entries: impl Iterator<Item = T>,
    next: Option<(&str, String)>,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some((name, value)) = next {
        response.insert_header((header::LINK, following(request, name, &value, None)));
    }
    response.json(entries.collect::<Vec<_>>())
}

/// The value of the header `Link`: this request's path as clients know it, and its query with the parameter `name` set
/// to `value`. The query omits `begin`, the parameter that says where the first page begins.
pub fn following(request: &HttpRequest, name: &str, value: &str, begin: Option<&str>) -> String {
    relation(request, "next", (name, value), begin)
}

/// Like [`following`], for the page of any relation.
pub fn relation(request: &HttpRequest, rel: &str, (name, value): (&str, &str), begin: Option<&str>) -> String {
    let public = request.app_data::<web::Data<PublicUrl>>().map_or("", |public| public.path());
    let mut link = format!("<{public}{}", utf8_percent_encode(request.uri().path(), PATH));
    // A malformed query never gets this far.
    let asked = pairs(request.query_string()).unwrap_or_default();
    let kept = asked.iter().filter(|(other, _)| other != name && begin != Some(other));
    let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
    let mut separator = '?';
    for (name, value) in kept.chain([(name, value)]) {
        let encoded = (utf8_percent_encode(name, QUERY), utf8_percent_encode(value, QUERY));
        // Writing to a String cannot fail.
        let _ = write!(link, "{separator}{}={}", encoded.0, encoded.1);
        separator = '&';
    }
    // Writing to a String cannot fail.
    let _ = write!(link, r#">; rel="{rel}""#);
    link
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn the_rest_of_the_query_is_kept() {
        for (uri, (name, value), link) in [
            ("/users", ("after", "x"), r#"</users?after=x>; rel="next""#),
            (
                "/users?q=%C3%A9+%26%3E&limit=2&after=a",
                ("after", "b"),
                r#"</users?q=%C3%A9%20%26%3E&limit=2&after=b>; rel="next""#,
            ),
            ("/messages?offset=3&limit=2", ("after", "m"), r#"</messages?limit=2&after=m>; rel="next""#),
            ("/messages?before=latest&group_id=g", ("before", "m"), r#"</messages?group_id=g&before=m>; rel="next""#),
        ] {
            assert_eq!(following(&TestRequest::with_uri(uri).to_http_request(), name, value, Some("offset")), link);
        }
    }

    #[test]
    fn the_path_that_a_proxy_takes_away_stands_before_it() {
        let public = PublicUrl::parse("https://example.org/chat/").unwrap();
        let request = TestRequest::with_uri("/users?limit=2").app_data(web::Data::new(public)).to_http_request();
        assert_eq!(following(&request, "after", "b", None), r#"</chat/users?limit=2&after=b>; rel="next""#);
    }

    #[test]
    fn the_last_page_has_no_link() {
        let request = TestRequest::with_uri("/users").to_http_request();
        assert!(page(&request, [1, 2].iter(), None).headers().get(header::LINK).is_none());
        assert!(page(&request, [1, 2].iter(), Some(("after", "2".to_owned()))).headers().get(header::LINK).is_some());
    }
}
