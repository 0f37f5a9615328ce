//! The origin of a web page.

/// A web page's origin: scheme, host, and port if it is not the scheme's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Parses `scheme://host` or `scheme://host:port`, in the form that browsers send.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        let fit = matches!(scheme, "http" | "https") && authority.bytes().all(plain) && names_host(authority);
        fit.then(|| Self(format!("{scheme}://{}", without_port(scheme, authority))))
    }

    /// Whether a request to `host` comes from the host's own pages. The scheme is not compared, because a proxy may
    /// terminate TLS.
    pub fn is_of(&self, host: &str) -> bool {
        let Some((scheme, authority)) = self.0.split_once("://") else { return false };
        without_port(scheme, &host.to_ascii_lowercase()) == authority
    }
}

/// Whether the text is a host name or an address, with an optional valid port.
fn names_host(authority: &str) -> bool {
    let (host, port) = match (authority.split_once(']'), authority.split_once(':')) {
        (Some((host, "")), _) => (host, None),
        (Some((host, rest)), _) => (host, rest.strip_prefix(':').or(Some(""))),
        (None, Some((host, port))) => (host, Some(port)),
        (None, None) => (authority, None),
    };
    let host_is_fit = match host.strip_prefix('[') {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains(['[', ']', ':']),
    };
    host_is_fit && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// The authority without the scheme's default port.
fn without_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let default = if scheme == "https" { ":443" } else { ":80" };
    authority.strip_suffix(default).unwrap_or(authority)
}
