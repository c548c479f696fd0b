//! What operators ask of the mesh: from a request over the socket to the engine and back.

use std::collections::BTreeMap;
use std::time::Duration;

use super::api::{self, Done, Invited, Refused, Tokens};
use super::peers::{Peers, terms};
use super::socket::Command;
use crate::config::Config;
use crate::engine::{Input, MeshView, PeerState, Request, RequestError, RequestId};
use crate::ident::{InvalidNodeId, NodeId};
use crate::message::{Door, TOKENS_MAX, Token};
use crate::status::rfc3339;
use crate::time::Wall;

/// Who waits for the engine's answer.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    next: u64,
    waiting: BTreeMap<RequestId, Command>,
}

/// What the answers are made of.
pub(super) struct Asked<'a> {
    pub(super) config: &'a Config,
    pub(super) mesh: &'a MeshView,
    pub(super) peers: &'a Peers,
    pub(super) now: Wall,
}

impl Wishes {
    /// Answers what can be answered at once; what comes back is for the engine.
    pub(super) fn ask(&mut self, command: Command, asked: &Asked<'_>) -> Option<Input> {
        let wish = match &command.request {
            api::Request::Status {} => return None,
            api::Request::Tokens {} => {
                command.answer(&Tokens::of(&asked.mesh.tokens, asked.now));
                return None;
            }
            api::Request::Invite { name, publisher, bootstrap, ttl_s } => {
                let ttl = Duration::from_secs(*ttl_s);
                return match asked.invite(name.as_deref(), (*bootstrap, *publisher), ttl) {
                    Ok((invited, input)) => {
                        command.answer(&invited);
                        Some(input)
                    }
                    Err(refused) => {
                        command.answer(&refused);
                        None
                    }
                };
            }
            api::Request::Revoke { id } => {
                api::find_token(&asked.mesh.tokens, id).map(Request::Revoke)
            }
            api::Request::Remove { name, force } => match name.parse() {
                Ok(name) => Ok(Request::Remove { name, force: *force }),
                Err(_) => Err(RequestError::NoSuchMember.into()),
            },
            api::Request::Leave {} => Ok(Request::Leave),
        };
        match wish {
            Ok(wish) => {
                let id = RequestId(self.next);
                self.next += 1;
                self.waiting.insert(id, command);
                Some(Input::Asked(id, wish))
            }
            Err(refused) => {
                command.answer(&refused);
                None
            }
        }
    }

    /// The engine has answered; `true`: this node has said goodbye.
    pub(super) fn answer(&mut self, id: RequestId, result: Result<(), RequestError>) -> bool {
        let Some(command) = self.waiting.remove(&id) else { return false };
        let left = matches!(command.request, api::Request::Leave {}) && result.is_ok();
        match result {
            Ok(()) => command.answer(&Done::new()),
            Err(error) => command.answer(&Refused::from(error)),
        }
        left
    }
}

impl Asked<'_> {
    fn invite(
        &self,
        name: Option<&str>,
        (bootstrap, publisher): (bool, bool),
        ttl: Duration,
    ) -> Result<(Invited, Input), Refused> {
        let bad_name = |error: InvalidNodeId| Refused::new("bad_name", error.to_string());
        let invited: Option<NodeId> = name.map(str::parse).transpose().map_err(bad_name)?;
        if !api::TTL.contains(&ttl) {
            return Err(Refused::new("bad_ttl", "an invitation is good for 1 minute to 30 days"));
        }
        if !self.peers.certifies() {
            return Err(RequestError::NotBootstrap.into());
        }
        let good =
            |token: &&Token| token.used_by.is_none() && !token.revoked && token.expires > self.now;
        if self.mesh.tokens.iter().filter(good).count() >= TOKENS_MAX {
            return Err(Refused::new(
                "too_many",
                "there are as many unused invitations as there may be: revoke some (rustbalance \
                 tokens lists them), or wait until they expire",
            ));
        }
        let expires = self.now + ttl;
        let issuer = self.config.node.name.clone();
        let terms = terms(issuer, invited, (bootstrap, publisher), expires);
        let made = self.peers.invite(terms, self.mesh.endpoint, self.others());
        let (invitation, record) = made.ok_or_else(|| {
            Refused::new(
                "no_address",
                "a newcomer could not reach this node: set [wireguard] endpoint to the address \
                 that others can send to, or use Tor",
            )
        })?;
        let invited = Invited {
            token: invitation.to_string(),
            id: record.id.to_string(),
            name: name.map(str::to_owned),
            publisher,
            bootstrap,
            until: rfc3339(expires),
        };
        Ok((invited, Input::TokenIssued(Box::new(record))))
    }

    /// Other bootstrap nodes that are there: their doors open to the same invitation.
    fn others(&self) -> Vec<Door> {
        let there = self.mesh.peers.iter().filter(|peer| {
            peer.bootstrap && peer.state == PeerState::Alive && peer.endpoint.is_some()
        });
        there.map(|peer| Door { key: peer.key, endpoint: peer.endpoint, onion: None }).collect()
    }
}
