//! Refuses unknown names that look like keys. Without this check, the server would silently ignore a mistyped variable.

use super::keys::KEYS;
use std::ffi::OsString;

/// The prefix of all keys but one.
const PREFIX: &str = "PARLANCE_";

/// Every name under which a value may be given.
fn names() -> impl Iterator<Item = String> {
    KEYS.iter().flat_map(|key| [Some(key.name.to_owned()), key.file_name()]).flatten()
}

/// Whether a value may be given under this name.
pub fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

/// The known name with the smallest edit distance, ignoring case. The prefix does not count, because one key has none.
pub fn nearest(name: &str) -> String {
    let bare = |name: &str| {
        let name = name.to_ascii_uppercase();
        name.strip_prefix(PREFIX).map(str::to_owned).unwrap_or(name)
    };
    let wanted = bare(name);
    names().min_by_key(|known| strsim::osa_distance(&bare(known), &wanted)).unwrap_or_default()
}

/// Returns a warning for each variable that begins like a key and is none. The warnings do not contain values.
pub fn among(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<String> {
    let mut told: Vec<_> = variables
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.get(..PREFIX.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(PREFIX)))
        .filter(|(name, value)| !is_known(name) && !is_of_a_service(name, value))
        .map(|(name, _)| format!("{name} is ignored: no key has this name; the nearest is {}", nearest(&name)))
        .collect();
    told.sort();
    told
}

/// Whether Kubernetes has set the variable: it sets such variables in each container for each service, also for one
/// named parlance.
fn is_of_a_service(name: &str, value: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let of_port = |(_, rest): (&str, &str)| rest.starts_with(|digit: char| digit.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_address)
        || name.rsplit_once("_PORT_").is_some_and(of_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, value: &str) -> Vec<String> {
        among([(name.into(), value.into())].into_iter())
    }

    #[test]
    fn a_mistyped_name_is_told_with_the_nearest_key_and_without_its_value() {
        for (name, key) in [
            ("PARLANCE_LISTN", "PARLANCE_LISTEN"),
            ("parlance_listen", "PARLANCE_LISTEN"),
            ("PARLANCE_JWT_SECRTE", "PARLANCE_JWT_SECRET"),
            ("PARLANCE_JWT_SECRET_FIEL", "PARLANCE_JWT_SECRET_FILE"),
            ("PARLANCE_DATABASE_URL", "DATABASE_URL"),
            ("PARLANCE_LISTEN_FILE", "PARLANCE_LISTEN"),
            ("PARLANCE_BCRYPT", "PARLANCE_BCRYPT_COST"),
            ("PARLANCE_", "PARLANCE_LOG"),
        ] {
            let told = told(name, "hush");
            assert_eq!(told.len(), 1, "{name}");
            assert!(told[0].starts_with(name) && told[0].ends_with(&format!(" {key}")), "{told:?}");
            assert!(!told[0].contains("hush"), "{told:?}");
        }
    }

    #[test]
    fn what_is_known_or_none_of_ours_is_not_told() {
        for (name, value) in [
            ("PARLANCE_LISTEN", ":0"),
            ("PARLANCE_JWT_SECRET_FILE", "/run/secrets/jwt"),
            ("DATABASE_URL_FILE", "/run/secrets/database"),
            ("PARLANC", "x"),
            ("LISTEN", "x"),
            // Variables that Kubernetes sets for services named parlance and parlance-backend.
            ("PARLANCE_SERVICE_HOST", "10.0.0.7"),
            ("PARLANCE_SERVICE_PORT", "8080"),
            ("PARLANCE_SERVICE_PORT_HTTP", "8080"),
            ("PARLANCE_PORT", "tcp://10.0.0.7:8080"),
            ("PARLANCE_PORT_8080_TCP_ADDR", "10.0.0.7"),
            ("PARLANCE_BACKEND_PORT_8080_TCP", "tcp://10.0.0.7:8080"),
        ] {
            assert!(told(name, value).is_empty(), "{name}");
        }
        assert_eq!(told("PARLANCE_PORT", "8080").len(), 1);
    }
}
