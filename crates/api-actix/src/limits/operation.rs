//! The operations that clients ask for over a WebSocket.

use super::Limit;
use domain::Scope;

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $cost:expr, $scope:expr;)+) => {
        /// An operation that a client requests in a text frame.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Op {
            $($(#[$doc])* $name,)+
        }

        impl Op {
            /// Every operation there is.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word that clients write in `op`.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            /// The cost of the operation besides its frame.
            pub const fn cost(self) -> &'static [Limit] {
                match self {
                    $(Self::$name => $cost,)+
                }
            }

            /// The scope that a token of a program needs for the operation.
            pub const fn scope(self) -> Scope {
                match self {
                    $(Self::$name => $scope,)+
                }
            }
        }
    };
}

operations! {
    /// Sends a message.
    Send = "send", &[Limit::Sends], Scope::Send;
    /// Marks a message as seen.
    Seen = "seen", &[Limit::Requests], Scope::Send;
    /// Compares what the client has of a conversation with what the server has.
    Verify = "verify", &[Limit::Requests], Scope::Read;
    /// Tells others that the user is typing.
    Typing = "typing", &[Limit::Requests], Scope::Send;
    /// Asks whether the server is there. The server answers at once with a few bytes, so only the frame costs anything.
    Ping = "ping", &[], Scope::Read;
}

impl Op {
    /// The operation of that word, if there is one.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|op| op.word() == word)
    }

    /// The message for a client that requests none of them.
    pub fn expected() -> String {
        let words: Vec<_> = Self::ALL.iter().map(|op| op.word()).collect();
        let (last, others) = words.split_last().map_or(("", &words[..]), |(last, others)| (*last, others));
        format!("op must be {} or {last}", others.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_its_operation() {
        for op in Op::ALL {
            assert_eq!(Op::parse(op.word()), Some(*op));
        }
        assert_eq!((Op::parse("dance"), Op::parse("Send")), (None, None));
        assert_eq!(Op::expected(), "op must be send, seen, verify, typing or ping");
    }
}
