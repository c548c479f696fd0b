//! What can be asked of tor (control-spec, section "Commands").
//!
//! Knows how a command is written and which arguments would make it say something else. Does not
//! know what comes back.

use bytes::Bytes;

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
        }
    }
}
