//! The features that a server may lack.

/// Which of the optional features this server has. The composition sets them; `GET /server` lists those that are on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// Clients search messages.
    pub search: bool,
    /// The server notifies devices that are not connected.
    pub push: bool,
    /// Pages of other origins may show the web client.
    pub embed: bool,
    /// The server keeps earlier versions of messages.
    pub edit_history: bool,
    /// The server makes thumbnails of images.
    pub thumbnails: bool,
}

impl Features {
    /// The names of the features that are on, as clients read them.
    pub fn names(self) -> Vec<&'static str> {
        let Self { search, push, embed, edit_history, thumbnails } = self;
        let all = [
            ("search", search),
            ("push", push),
            ("embed", embed),
            ("edit_history", edit_history),
            ("thumbnails", thumbnails),
        ];
        all.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_is_named() {
        assert!(Features::default().names().is_empty());
        assert_eq!(Features { push: true, thumbnails: true, ..Features::default() }.names(), ["push", "thumbnails"]);
        let all = Features { search: true, push: true, embed: true, edit_history: true, thumbnails: true };
        assert_eq!(all.names(), ["search", "push", "embed", "edit_history", "thumbnails"]);
    }
}
