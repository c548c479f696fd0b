//! What a command asks the daemon over its local socket, and what it is answered.
//!
//! One line of JSON, of at most [`REQUEST_MAX_BYTES`], such as `{"request":"status"}`; then one
//! JSON document comes back and the connection ends. [`Request::Status`] is answered with the
//! status document, every other request with a value of this file; one that is not granted with
//! [`Refused`]. Whoever can open the socket may ask everything.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::RequestError;
use crate::ident::TokenId;
use crate::message::Token;
use crate::status::rfc3339;
use crate::time::Wall;

/// The longest request, its newline included.
pub const REQUEST_MAX_BYTES: usize = 4096;

/// The shortest and the longest time for which an invitation is good.
pub const TTL: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(30 * 86_400);

/// The fewest characters by which an invitation may be named.
const ID_PREFIX_MIN: usize = 6;

/// What a command asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// How are things? Answered with the status document.
    Status {},
    /// Make an invitation. Answered with [`Invited`].
    Invite {
        /// The only name that it is good for.
        name: Option<String>,
        /// The newcomer may publish, and gets the master keys.
        #[serde(default)]
        publisher: bool,
        /// The newcomer may let others in, and gets the key to certify them.
        #[serde(default)]
        bootstrap: bool,
        /// For how long it is good.
        ttl_s: u64,
    },
    /// Which invitations are there? Answered with [`Tokens`].
    Tokens {},
    /// Make an invitation good for nobody. Answered with [`Done`].
    Revoke {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// Remove a member for ever. Answered with [`Done`].
    Remove {
        /// Whom.
        name: String,
        /// Although it is not dead.
        #[serde(default)]
        force: bool,
    },
    /// Say goodbye. Answered with [`Done`] once the others know.
    Leave {},
}

impl Request {
    /// Reads one line, without its newline.
    ///
    /// # Errors
    /// [`Refused`] with the code `bad_request`, which says what is wrong and which requests exist.
    pub fn parse(line: &[u8]) -> Result<Request, Refused> {
        serde_json::from_slice(line)
            .map_err(|error| Refused::new("bad_request", format!("not a request: {error}")))
    }

    /// As one line, newline included.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("texts and numbers have a form in JSON");
        line.push(b'\n');
        line
    }
}

/// An invitation that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// The secret text for the newcomer. It is nowhere else.
    pub token: String,
    /// Its id, for `revoke`.
    pub id: String,
    /// The only name that it is good for.
    pub name: Option<String>,
    /// The newcomer may publish.
    pub publisher: bool,
    /// The newcomer may let others in.
    pub bootstrap: bool,
    /// Until when it is good: RFC 3339, UTC.
    pub until: String,
}

impl std::fmt::Debug for Invited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invited").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The invitations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// In the order in which they end.
    pub tokens: Vec<TokenRow>,
}

/// One invitation, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// Names it.
    pub id: String,
    /// Whether it is still good.
    pub state: TokenState,
    /// The only name that it is good for.
    pub name: Option<String>,
    /// The newcomer may publish.
    pub publisher: bool,
    /// The newcomer may let others in.
    pub bootstrap: bool,
    /// Who made it.
    pub issuer: String,
    /// Until when it is good: RFC 3339, UTC.
    pub until: String,
}

/// Whether an invitation is still good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenState {
    /// Good.
    Open,
    /// Somebody came in by it.
    Used,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
    /// A word of a later program.
    #[serde(other)]
    Other,
}

impl Tokens {
    /// Lists these records as they are at `now`.
    pub fn of(records: &[Token], now: Wall) -> Tokens {
        let mut records: Vec<&Token> = records.iter().collect();
        records.sort_by_key(|token| (token.expires, token.id));
        Tokens { tokens: records.into_iter().map(|token| row(token, now)).collect() }
    }
}

fn row(token: &Token, now: Wall) -> TokenRow {
    let state = match token {
        Token { revoked: true, .. } => TokenState::Revoked,
        Token { used_by: Some(_), .. } => TokenState::Used,
        Token { expires, .. } if *expires <= now => TokenState::Expired,
        _ => TokenState::Open,
    };
    TokenRow {
        id: token.id.to_string(),
        state,
        name: token.invited.as_ref().map(ToString::to_string),
        publisher: token.publisher,
        bootstrap: token.bootstrap,
        issuer: token.issuer.to_string(),
        until: rfc3339(token.expires),
    }
}

/// Finds the invitation whose id begins with `prefix`.
///
/// # Errors
/// [`Refused`] when none or several begin so, or the prefix is too short.
pub fn find_token(records: &[Token], prefix: &str) -> Result<TokenId, Refused> {
    if prefix.len() < ID_PREFIX_MIN {
        let text = format!("name the invitation by at least {ID_PREFIX_MIN} characters of its id");
        return Err(Refused::new("ambiguous", text));
    }
    let prefix = prefix.to_ascii_lowercase();
    let mut found = records.iter().filter(|token| token.id.to_string().starts_with(&prefix));
    match (found.next(), found.next()) {
        (Some(token), None) => Ok(token.id),
        (None, _) => Err(RequestError::NoSuchToken.into()),
        (Some(_), Some(_)) => {
            let text = "several invitations begin so: write more of the id".to_owned();
            Err(Refused::new("ambiguous", text))
        }
    }
}

/// It is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Always true.
    pub done: bool,
}

impl Done {
    /// It is.
    pub fn new() -> Done {
        Done { done: true }
    }
}

/// It is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// A stable word for scripts.
    pub error: String,
    /// Why, and what to do.
    pub message: String,
}

impl Refused {
    /// A refusal in our own words.
    pub fn new(error: &str, message: impl Into<String>) -> Refused {
        Refused { error: error.to_owned(), message: message.into() }
    }
}

impl From<RequestError> for Refused {
    fn from(error: RequestError) -> Refused {
        let (word, message) = match error {
            RequestError::NoSuchMember => {
                ("no_such_member", "there is no such member; see rustbalance status")
            }
            RequestError::NoSuchToken => {
                ("no_such_token", "there is no such invitation; see rustbalance tokens")
            }
            RequestError::TokenUsed => (
                "token_used",
                "the invitation was used already; to undo that: rustbalance remove NAME",
            ),
            RequestError::NotDead => (
                "not_dead",
                "the member is not dead. Run rustbalance leave there, or add --force: it can \
                 then never come back with its keys",
            ),
            RequestError::NotBootstrap => (
                "not_bootstrap",
                "this node lacks the key that certifies members; run this on a bootstrap node",
            ),
            RequestError::KeyUnkept => (
                "key_unkept",
                "the new key that certifies cannot be written, so nothing was changed: see the log; \
                 is the disk full?",
            ),
            RequestError::Oneself => {
                ("oneself", "a node does not remove itself; run rustbalance leave")
            }
            RequestError::NoCluster => (
                "no_cluster",
                "this node is in no cluster ([cluster] is missing): rustbalance init or join",
            ),
        };
        Refused::new(word, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::samples;
    use crate::ident::PeerKey;

    #[test]
    fn a_request_is_a_line_of_json() {
        let status = Request::Status {};
        assert_eq!(status.to_line(), b"{\"request\":\"status\"}\n");
        let remove = br#"{"request":"remove","name":"node-c"}"#;
        let wanted = Request::Remove { name: "node-c".to_owned(), force: false };
        assert_eq!(Request::parse(remove), Ok(wanted.clone()));
        assert_eq!(Request::parse(wanted.to_line().trim_ascii()), Ok(wanted));
    }

    #[test]
    fn what_is_no_request_is_told_which_there_are() {
        for line in [
            "",
            "status",
            "[]",
            "{}",
            "{\"request\":3}",
            "{\"request\":\"status\",\"x\":1}",
            "\u{0}",
        ] {
            let refused = Request::parse(line.as_bytes()).unwrap_err();
            assert_eq!(refused.error, "bad_request", "{line}");
        }
        let refused = Request::parse(b"{\"request\":\"explode\"}").unwrap_err();
        insta::assert_snapshot!(refused, @"not a request: unknown variant `explode`, expected one of `status`, `invite`, `tokens`, `revoke`, `remove`, `leave` at line 1 column 20");
    }

    #[test]
    fn a_list_of_invitations_says_which_are_still_good_and_no_secret() {
        let token = samples::token();
        let records = [
            Token { revoked: true, ..token.clone() },
            Token { used_by: Some(PeerKey([1; 32])), ..token.clone() },
            Token { expires: Wall(10), ..token.clone() },
            token,
        ];
        let list = Tokens::of(&records, Wall(10));
        let states: Vec<TokenState> = list.tokens.iter().map(|row| row.state).collect();
        let wanted = [TokenState::Expired, TokenState::Revoked, TokenState::Used, TokenState::Open];
        assert_eq!(states, wanted);
    }

    #[test]
    fn an_invitation_is_found_by_the_beginning_of_its_id() {
        let token = samples::token();
        let other = Token { id: TokenId([9; 16]), ..token.clone() };
        let mut near = [8; 16];
        near[15] = 0;
        let records = [token.clone(), other, Token { id: TokenId(near), ..token.clone() }];
        let error = |prefix| find_token(&records, prefix).unwrap_err().error;
        assert_eq!(find_token(&records, "09090909"), Ok(TokenId([9; 16])));
        assert_eq!(find_token(&records, &token.id.to_string().to_uppercase()), Ok(token.id));
        assert_eq!(error("080808"), "ambiguous");
        assert_eq!(error("0808"), "ambiguous");
        assert_eq!(error("0a0a0a"), "no_such_token");
    }

    #[test]
    fn an_invitation_s_secret_is_not_printed_by_debug() {
        let invited = Invited {
            token: "RB1.secret".to_owned(),
            id: "08".to_owned(),
            name: None,
            publisher: false,
            bootstrap: false,
            until: String::new(),
        };
        assert!(!format!("{invited:?}").contains("secret"));
    }
}
