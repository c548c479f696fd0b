//! Requests about onion services of our own, and about visiting those of others.

use std::net::SocketAddr;

use super::{Client, RequestError, unreadable};
use crate::control::command::{Command, OnionService, Secret};
use crate::control::words::{self, Words};

impl Client {
    /// `ADD_ONION`: tor runs this service as long as our connection stands. Returns its address, 56
    /// characters without `.onion`.
    ///
    /// # Errors
    /// [`RequestError::Refused`] with 550 when tor runs it already, 512 for a key that is none.
    pub async fn add_onion(&self, service: OnionService) -> Result<String, RequestError> {
        let reply = self.ask(Command::AddOnion(service)).await?;
        let first = reply.lines.first().map_or("", |line| line.text.as_str());
        match first.strip_prefix("ServiceID=") {
            Some(address) if words::is_address(address) => Ok(address.to_owned()),
            _ => Err(unreadable("ADD_ONION", first)),
        }
    }

    /// `DEL_ONION` of a service that was added over this connection.
    ///
    /// # Errors
    /// [`RequestError::Refused`] with 552 when there is none.
    pub async fn del_onion(&self, address: &str) -> Result<(), RequestError> {
        self.ask(Command::DelOnion(address.to_owned())).await.map(drop)
    }

    /// `ONION_CLIENT_AUTH_ADD`: from now on, and until it stops, tor visits `address` with this
    /// secret key (X25519); an earlier one gives way.
    ///
    /// # Errors
    /// [`RequestError::Refused`] with 512 for an address or a key that is none.
    pub async fn onion_client_auth_add(
        &self,
        address: &str,
        key: Secret<32>,
    ) -> Result<(), RequestError> {
        let address = address.to_owned();
        self.ask(Command::OnionClientAuthAdd { address, key }).await.map(drop)
    }

    /// `ONION_CLIENT_AUTH_REMOVE`; no matter whether there was a key.
    ///
    /// # Errors
    /// [`RequestError::Refused`] with 512 for an address that is none.
    pub async fn onion_client_auth_remove(&self, address: &str) -> Result<(), RequestError> {
        self.ask(Command::OnionClientAuthRemove(address.to_owned())).await.map(drop)
    }

    /// `GETINFO net/listeners/socks`: tor's SOCKS ports in its order; those that are Unix sockets
    /// are left out.
    ///
    /// # Errors
    /// As [`Client::getinfo`].
    pub async fn socks_listeners(&self) -> Result<Vec<SocketAddr>, RequestError> {
        let value = self.getinfo_text("net/listeners/socks").await?;
        Ok(Words::new(&value).filter_map(|word| words::unquote(word).parse().ok()).collect())
    }
}
