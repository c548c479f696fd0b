//! The list of invitations.

use super::text::{clean, finish, table};
use crate::daemon::api::{TokenRow, TokenState, Tokens};

/// How much of an id is shown: enough to name it.
const ID_SHOWN: usize = 8;

/// One row each.
pub(in crate::cli) fn tokens(tokens: &Tokens) -> String {
    if tokens.tokens.is_empty() {
        return "no invitations; make one with: rustbalance invite\n".to_owned();
    }
    let header = ["", "ID", "STATE", "UNTIL", "FOR", "MAY", "MADE BY"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(tokens.tokens.iter().map(row));
    finish(&table(&rows), false)
}

fn row(token: &TokenRow) -> Vec<String> {
    let state = match token.state {
        TokenState::Open => "open",
        TokenState::Used => "used",
        TokenState::Expired => "expired",
        TokenState::Revoked => "revoked",
        TokenState::Other => "?",
    };
    let may = match (token.publisher, token.bootstrap) {
        (true, true) => "publish, let in",
        (true, false) => "publish",
        (false, true) => "let in",
        (false, false) => "serve",
    };
    vec![
        String::new(),
        clean(&token.id.chars().take(ID_SHOWN).collect::<String>()),
        state.to_owned(),
        clean(&token.until),
        token.name.as_deref().map_or("anybody".to_owned(), clean),
        may.to_owned(),
        clean(&token.issuer),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invitations_are_listed_without_their_secrets() {
        let open = TokenRow {
            id: "08090a0b0c0d0e0f08090a0b0c0d0e0f".to_owned(),
            state: TokenState::Open,
            name: Some("node-b".to_owned()),
            publisher: true,
            bootstrap: false,
            issuer: "node-a".to_owned(),
            until: "2026-11-21T14:05:00Z".to_owned(),
        };
        let used =
            TokenRow { state: TokenState::Used, name: None, bootstrap: true, ..open.clone() };
        insta::assert_snapshot!(tokens(&Tokens { tokens: vec![used, open] }), @r#"
        ID        STATE  UNTIL                 FOR      MAY              MADE BY
        08090a0b  used   2026-11-21T14:05:00Z  anybody  publish, let in  node-a
        08090a0b  open   2026-11-21T14:05:00Z  node-b   publish          node-a
        "#);
        insta::assert_snapshot!(tokens(&Tokens { tokens: Vec::new() }), @"no invitations; make one with: rustbalance invite");
    }
}
