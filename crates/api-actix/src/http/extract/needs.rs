//! What a request needs of its token.

use actix_web::http::Method;
use domain::Need;

/// What the routes of one resource need, by their method as the table of routes writes it.
#[derive(Debug, Clone, Copy)]
pub struct Needs(pub &'static [(&'static str, Need)]);

impl Needs {
    /// What a request with this method needs. HEAD is a GET. For a method that the resource does not have, a login.
    pub fn of_method(self, method: &Method) -> Need {
        let word = if method == Method::HEAD { "GET" } else { method.as_str() };
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
        found.map_or(Need::Login, |(_, need)| *need)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Scope;

    #[test]
    fn what_the_table_does_not_name_needs_a_login() {
        let needs = Needs(&[("get", Need::Scope(Scope::Read)), ("post", Need::Nothing)]);
        for (method, need) in [
            (Method::GET, Need::Scope(Scope::Read)),
            (Method::HEAD, Need::Scope(Scope::Read)),
            (Method::POST, Need::Nothing),
            (Method::DELETE, Need::Login),
        ] {
            assert_eq!(needs.of_method(&method), need, "{method}");
        }
    }
}
