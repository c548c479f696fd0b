//! What can be asked of tor (control-spec, section "Commands").
//!
//! Knows how a command is written and which arguments would make it say something else. Does not
//! know what comes back.

mod service;

use bytes::Bytes;

pub use self::service::{OnionService, Secret};
use super::words;
use crate::ident::RelayId;

/// The longest key of GETINFO or GETCONF in bytes.
const KEY_MAX_BYTES: usize = 256;

/// A command with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `GETINFO` of one key.
    GetInfo(String),
    /// `GETCONF` of one option.
    GetConf(String),
    /// `SETEVENTS`: from now on these and no others.
    SetEvents(Vec<Topic>),
    /// `+HSPOST` to one HSDir. Always with an address: tor gives no reply at all without one.
    HsPost {
        /// The HSDir that gets it.
        server: RelayId,
        /// The onion address, 56 characters without `.onion`.
        address: String,
        /// The descriptor's text.
        document: Bytes,
    },
    /// `HSFETCH` from one HSDir; the answer comes as events.
    HsFetch {
        /// The onion address, 56 characters without `.onion`.
        address: String,
        /// The HSDir that is asked.
        server: RelayId,
    },
    /// `ADD_ONION`, not detached.
    AddOnion(OnionService),
    /// `DEL_ONION` of an address, 56 characters without `.onion`.
    DelOnion(String),
    /// `ONION_CLIENT_AUTH_ADD`, not permanent.
    OnionClientAuthAdd {
        /// The onion address, 56 characters without `.onion`.
        address: String,
        /// Our secret key for it (X25519).
        key: Secret<32>,
    },
    /// `ONION_CLIENT_AUTH_REMOVE` of an address, 56 characters without `.onion`.
    OnionClientAuthRemove(String),
}

/// Something tor can be told to report (control-spec, "SETEVENTS").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Descriptors of onion services: made, uploaded, asked for, received.
    HsDesc,
    /// The text of fetched descriptors.
    HsDescContent,
    /// Circuits.
    Circ,
    /// What changes on a circuit that stands: such as an introduction point becoming established.
    CircMinor,
    /// Bootstrapping, arrival of a consensus and the like, each a short line.
    StatusClient,
    /// Whether the network seems reachable.
    NetworkLiveness,
    /// Signals to tor, such as a reload.
    Signal,
}

/// An argument that must not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{command} was not sent to tor: {argument:?} {problem}")]
pub struct InvalidArgument {
    /// The command's keyword.
    pub command: &'static str,
    /// The argument, shortened.
    pub argument: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Topic {
    /// The word for it in `SETEVENTS`.
    pub fn keyword(self) -> &'static str {
        match self {
            Topic::HsDesc => "HS_DESC",
            Topic::HsDescContent => "HS_DESC_CONTENT",
            Topic::Circ => "CIRC",
            Topic::CircMinor => "CIRC_MINOR",
            Topic::StatusClient => "STATUS_CLIENT",
            Topic::NetworkLiveness => "NETWORK_LIVENESS",
            Topic::Signal => "SIGNAL",
        }
    }
}

impl Command {
    /// The command's keyword, for messages.
    pub fn keyword(&self) -> &'static str {
        match self {
            Command::GetInfo(_) => "GETINFO",
            Command::GetConf(_) => "GETCONF",
            Command::SetEvents(_) => "SETEVENTS",
            Command::HsPost { .. } => "HSPOST",
            Command::HsFetch { .. } => "HSFETCH",
            Command::AddOnion(_) => "ADD_ONION",
            Command::DelOnion(_) => "DEL_ONION",
            Command::OnionClientAuthAdd { .. } => "ONION_CLIENT_AUTH_ADD",
            Command::OnionClientAuthRemove(_) => "ONION_CLIENT_AUTH_REMOVE",
        }
    }

    /// The command line without its end.
    ///
    /// # Errors
    /// When an argument would change the meaning of the line: spaces, control characters, CR, LF,
    /// or an address that is not 56 characters of base32.
    pub fn line(&self) -> Result<String, InvalidArgument> {
        match self {
            Command::GetInfo(key) => Ok(format!("GETINFO {}", self.key(key)?)),
            Command::GetConf(key) => Ok(format!("GETCONF {}", self.key(key)?)),
            Command::SetEvents(topics) => Ok(topics
                .iter()
                .fold("SETEVENTS".to_owned(), |line, topic| line + " " + topic.keyword())),
            Command::HsPost { server, address, .. } => {
                let address = self.address(address)?;
                Ok(format!("+HSPOST SERVER={server} HSADDRESS={address}"))
            }
            Command::HsFetch { address, server } => {
                Ok(format!("HSFETCH {} SERVER={server}", self.address(address)?))
            }
            Command::AddOnion(service) => Ok(service.line()),
            Command::DelOnion(address) => Ok(format!("DEL_ONION {}", self.address(address)?)),
            Command::OnionClientAuthAdd { address, key } => {
                Ok(service::client_auth_line(self.address(address)?, key))
            }
            Command::OnionClientAuthRemove(address) => {
                Ok(format!("ONION_CLIENT_AUTH_REMOVE {}", self.address(address)?))
            }
        }
    }

    /// The data block that follows the line.
    pub fn data(&self) -> Option<&[u8]> {
        match self {
            Command::HsPost { document, .. } => Some(document),
            _ => None,
        }
    }

    fn key<'a>(&self, key: &'a str) -> Result<&'a str, InvalidArgument> {
        if key.is_empty() || key.len() > KEY_MAX_BYTES {
            return Err(self.refused(key, "must have 1 to 256 characters"));
        }
        if !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(self.refused(key, "must be one word of printable ASCII"));
        }
        Ok(key)
    }

    fn address<'a>(&self, address: &'a str) -> Result<&'a str, InvalidArgument> {
        if words::is_address(address) {
            Ok(address)
        } else {
            Err(self.refused(address, "must be 56 characters of a-z and 2-7, without .onion"))
        }
    }

    fn refused(&self, argument: &str, problem: &'static str) -> InvalidArgument {
        let argument = words::excerpt(argument, 80);
        InvalidArgument { command: self.keyword(), argument, problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid";

    #[test]
    fn every_command_is_written_as_tor_reads_it() {
        let server = RelayId([0xAB; 20]);
        let fingerprint = "AB".repeat(20);
        let post =
            Command::HsPost { server, address: ADDRESS.into(), document: Bytes::from("doc\n") };
        let expected = format!("+HSPOST SERVER={fingerprint} HSADDRESS={ADDRESS}");
        assert_eq!(post.line().unwrap(), expected);
        assert_eq!(post.data(), Some(b"doc\n".as_slice()));
        let fetch = Command::HsFetch { address: ADDRESS.into(), server };
        assert_eq!(fetch.line().unwrap(), format!("HSFETCH {ADDRESS} SERVER={fingerprint}"));
        assert_eq!(fetch.data(), None);
        let topics = Command::SetEvents(vec![Topic::HsDesc, Topic::Circ]);
        assert_eq!(topics.line().unwrap(), "SETEVENTS HS_DESC CIRC");
        assert_eq!(Command::SetEvents(vec![]).line().unwrap(), "SETEVENTS");
        assert_eq!(Command::GetInfo("md/all".into()).line().unwrap(), "GETINFO md/all");
    }

    #[test]
    fn services_and_their_clients_are_written_as_tor_reads_them_and_secrets_do_not_show() {
        let service = OnionService {
            key: Secret::new([0; 64]),
            port: 51_820,
            target: "127.0.0.1:4000".parse().unwrap(),
            clients: vec![],
        };
        let key = "A".repeat(86);
        let open =
            format!("ADD_ONION ED25519-V3:{key}== Flags=DiscardPK Port=51820,127.0.0.1:4000");
        assert_eq!(Command::AddOnion(service.clone()).line().unwrap(), open);
        let closed = OnionService { clients: vec![[0; 32], [0xFF; 32]], ..service };
        let command = Command::AddOnion(closed);
        let line = command.line().unwrap();
        let (head, clients) = line.split_once(" ClientAuthV3=").unwrap();
        assert_eq!(head, open.replace("DiscardPK", "DiscardPK,V3Auth"));
        let (none, all) = ("A".repeat(52), "7".repeat(51));
        assert_eq!(clients, format!("{none} ClientAuthV3={all}Q"));
        assert!(format!("{command:?}").contains("key: [hidden]"), "{command:?}");

        let address = || ADDRESS.to_owned();
        let visit = Command::OnionClientAuthAdd { address: address(), key: Secret::new([0; 32]) };
        let expected = format!("ONION_CLIENT_AUTH_ADD {ADDRESS} x25519:{}=", "A".repeat(43));
        assert_eq!(visit.line().unwrap(), expected);
        let forget = Command::OnionClientAuthRemove(address()).line().unwrap();
        assert_eq!(forget, format!("ONION_CLIENT_AUTH_REMOVE {ADDRESS}"));
        let delete = Command::DelOnion(address()).line().unwrap();
        assert_eq!(delete, format!("DEL_ONION {ADDRESS}"));
    }

    #[test]
    fn arguments_that_would_start_another_command_are_refused() {
        for key in ["", "a b", "version\r\nSIGNAL HALT", "a\nb", "a\0b", "é", &"x".repeat(257)] {
            assert!(Command::GetInfo(key.into()).line().is_err(), "{key:?}");
            assert!(Command::GetConf(key.into()).line().is_err(), "{key:?}");
        }
    }

    #[test]
    fn addresses_with_suffix_or_foreign_characters_are_refused() {
        let server = RelayId([1; 20]);
        let upper = ADDRESS.to_uppercase();
        let suffixed = format!("{ADDRESS}.onion");
        let newline = format!("{}\r\n", &ADDRESS[..54]);
        for address in ["", &upper, &suffixed, &newline, &ADDRESS[1..]] {
            let fetch = Command::HsFetch { address: address.into(), server };
            assert!(fetch.line().is_err(), "{address:?}");
            let document = Bytes::new();
            let post = Command::HsPost { server, address: address.into(), document };
            assert!(post.line().is_err(), "{address:?}");
            assert!(Command::DelOnion(address.into()).line().is_err(), "{address:?}");
            assert!(Command::OnionClientAuthRemove(address.into()).line().is_err(), "{address:?}");
            let key = Secret::new([1; 32]);
            let visit = Command::OnionClientAuthAdd { address: address.into(), key };
            assert!(visit.line().is_err(), "{address:?}");
        }
    }
}
