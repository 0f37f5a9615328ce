//! What a request may do by the token that it came with.

use crate::error::{Forbidden, Invalid, Result};

/// A part of the API that a token of a program may be limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All that reads, live connections included.
    Read,
    /// All that writes messages and what belongs to them, and files.
    Send,
    /// All else.
    Manage,
}

impl Scope {
    /// Every scope, in the order in which clients see them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Send, Self::Manage];

    /// The word that clients read and write.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Manage => "manage",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Send => 2,
            Self::Manage => 4,
        }
    }
}

/// The scopes of a token: one at least. None of them contains another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// All of them.
    pub const ALL: Self = Self(Scope::Read.bit() | Scope::Send.bit() | Scope::Manage.bit());

    /// # Errors
    /// [`Invalid`] naming `scopes` for none, and for a word that is no scope.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("scopes", "scopes must be some of read, send, manage");
        let scope = |word: &str| Scope::ALL.into_iter().find(|scope| scope.as_str() == word);
        let mut bits = 0;
        for word in words {
            bits |= scope(word).ok_or_else(invalid)?.bit();
        }
        Self::from_bits(bits).ok_or_else(invalid)
    }

    /// The set of these bits. `None` where they are no set of scopes.
    pub fn from_bits(bits: u8) -> Option<Self> {
        (bits != 0 && bits & !Self::ALL.0 == 0).then_some(Self(bits))
    }

    /// The set as bits, for storing it.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether the set has the scope.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Those of the set.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

/// What a route or an operation needs of the token that it comes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// No token.
    Nothing,
    /// A login, or a token with this scope.
    Scope(Scope),
    /// A login: no token of a program will do.
    Login,
}

/// How a caller has proven who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// By a login: for everything that the user may do.
    Login,
    /// By a token of a program, which has these scopes.
    Token(Scopes),
}

impl Access {
    /// # Errors
    /// [`Forbidden::NotInScope`] and [`Forbidden::NeedsLogin`].
    pub fn require(self, need: Need) -> Result<()> {
        match (self, need) {
            (Self::Login, _) | (_, Need::Nothing) => Ok(()),
            (Self::Token(scopes), Need::Scope(scope)) if scopes.has(scope) => Ok(()),
            (Self::Token(_), Need::Scope(scope)) => Forbidden::NotInScope { scope: scope.as_str() }.err(),
            (Self::Token(_), Need::Login) => Forbidden::NeedsLogin.err(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_some_of_three_words() {
        let words = |scopes: Scopes| scopes.iter().map(Scope::as_str).collect::<Vec<_>>();
        assert_eq!(words(Scopes::parse(["send", "read", "send"]).unwrap()), ["read", "send"]);
        assert_eq!(Scopes::parse(["read", "send", "manage"]).unwrap(), Scopes::ALL);
        for bad in [&[][..], &["Read"], &["read", "admin"], &[""]] {
            assert_eq!(Scopes::parse(bad.iter().copied()).unwrap_err().field, "scopes", "{bad:?}");
        }
        for scopes in (1..8).filter_map(Scopes::from_bits) {
            assert_eq!(Scopes::parse(words(scopes)).unwrap(), scopes);
            assert_eq!(Scopes::from_bits(scopes.bits()), Some(scopes));
        }
        assert_eq!((Scopes::from_bits(0), Scopes::from_bits(8)), (None, None));
    }

    #[test]
    fn each_scope_gives_itself_only_and_a_login_everything() {
        for need in Scope::ALL.into_iter().map(Need::Scope).chain([Need::Nothing, Need::Login]) {
            assert!(Access::Login.require(need).is_ok());
            for scopes in (1..8).filter_map(Scopes::from_bits) {
                let allowed = match need {
                    Need::Nothing => true,
                    Need::Scope(scope) => scopes.has(scope),
                    Need::Login => false,
                };
                assert_eq!(Access::Token(scopes).require(need).is_ok(), allowed, "{scopes:?} {need:?}");
            }
        }
    }
}
