//! The packets inside a session: IPv6 with a UDP header, so that any WireGuard peer can take part.
//!
//! Knows which address belongs to which key, how a payload becomes a packet and back, and how to
//! answer a ping. Does not know sessions, nor what a payload means.

use std::net::Ipv6Addr;

use etherparse::{Icmpv6Slice, Icmpv6Type, IpNumber, Ipv6Slice, PacketBuilder, UdpSlice};
use sha2::{Digest, Sha256};

use crate::ident::{ClusterId, PeerKey};
use crate::message::Refusal;

/// The UDP port of every node inside the sessions.
pub const INNER_PORT: u16 = 51_821;

/// The most bytes of one payload.
pub const PAYLOAD_MAX_BYTES: usize = 1152;

/// The most bytes of one packet inside a session.
pub(super) const MTU_BYTES: usize = 1200;

const IPV6_HEADER_BYTES: usize = 40;
const HEADERS_BYTES: usize = IPV6_HEADER_BYTES + 8;
const HOP_LIMIT: u8 = 64;

/// Packets are filled up to a multiple of this, as WireGuard asks for (whitepaper, section 5.4.6).
const PADDING_BYTES: usize = 16;

const _: () = assert!(PAYLOAD_MAX_BYTES + HEADERS_BYTES == MTU_BYTES);
const _: () = assert!(MTU_BYTES.is_multiple_of(PADDING_BYTES));

/// The address of the owner of `key` inside the sessions of this cluster: a unique local address
/// (RFC 4193) of the cluster's own /64, by the hash of the key.
pub fn inner_address(cluster: ClusterId, key: PeerKey) -> Ipv6Addr {
    let hash = Sha256::new_with_prefix(cluster.0).chain_update(key.0).finalize();
    let mut octets = [0xFD; 16];
    octets[1..8].copy_from_slice(&cluster.0[..7]);
    octets[8..].copy_from_slice(&hash[..8]);
    octets.into()
}

/// What came in one packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inner<'a> {
    /// A payload.
    Payload(&'a [u8]),
    /// A ping: this packet answers it.
    Ping(Vec<u8>),
}

/// The two ends of a session, as addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) ours: Ipv6Addr,
    pub(super) theirs: Ipv6Addr,
}

impl Ends {
    /// The packet that carries `payload` from us to them; `None` when it is too long.
    pub(super) fn pack(&self, payload: &[u8]) -> Option<Vec<u8>> {
        if payload.len() > PAYLOAD_MAX_BYTES {
            return None;
        }
        let mut packet = Vec::with_capacity(MTU_BYTES);
        PacketBuilder::ipv6(self.ours.octets(), self.theirs.octets(), HOP_LIMIT)
            .udp(INNER_PORT, INNER_PORT)
            .write(&mut packet, payload)
            .expect("a vector takes all, and the length is below 65,536");
        Some(padded(packet))
    }

    /// Reads a packet from them to us.
    ///
    /// # Errors
    /// [`Refusal::Unauthentic`] when it bears another sender's address, [`Refusal::Malformed`] when
    /// it is not for us, or neither a payload nor a ping.
    pub(super) fn unpack<'a>(&self, packet: &'a [u8]) -> Result<Inner<'a>, Refusal> {
        let ip = Ipv6Slice::from_slice(packet).map_err(|_| Refusal::Malformed)?;
        if ip.header().source_addr() != self.theirs {
            return Err(Refusal::Unauthentic);
        }
        let whole = !ip.is_payload_fragmented() && packet.len() <= MTU_BYTES;
        if ip.header().destination_addr() != self.ours || !whole {
            return Err(Refusal::Malformed);
        }
        let content = ip.payload();
        match content.ip_number {
            IpNumber::UDP => {
                let udp = UdpSlice::from_slice(content.payload).map_err(|_| Refusal::Malformed)?;
                match udp.destination_port() {
                    INNER_PORT => Ok(Inner::Payload(udp.payload())),
                    _ => Err(Refusal::Malformed),
                }
            }
            IpNumber::IPV6_ICMP => self.answer_ping(content.payload).ok_or(Refusal::Malformed),
            _ => Err(Refusal::Malformed),
        }
    }

    fn answer_ping<'a>(&self, message: &[u8]) -> Option<Inner<'a>> {
        let ping = Icmpv6Slice::from_slice(message).ok()?;
        let Icmpv6Type::EchoRequest(echo) = ping.icmp_type() else { return None };
        if !ping.is_checksum_valid(self.theirs.octets(), self.ours.octets()) {
            return None;
        }
        let mut packet = Vec::with_capacity(MTU_BYTES);
        PacketBuilder::ipv6(self.ours.octets(), self.theirs.octets(), HOP_LIMIT)
            .icmpv6_echo_reply(echo.id, echo.seq)
            .write(&mut packet, ping.payload())
            .expect("a vector takes all, and the length is that of the question");
        Some(Inner::Ping(padded(packet)))
    }
}

/// Fills a packet up with zeros; its own header tells where it ends.
fn padded(mut packet: Vec<u8>) -> Vec<u8> {
    packet.resize(packet.len().next_multiple_of(PADDING_BYTES), 0);
    packet
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ends() -> (Ends, Ends) {
        let address = |key| inner_address(ClusterId([7; 16]), PeerKey([key; 32]));
        let (ours, theirs) = (address(1), address(2));
        (Ends { ours, theirs }, Ends { ours: theirs, theirs: ours })
    }

    fn ping(from: &Ends) -> Vec<u8> {
        let mut packet = Vec::new();
        let (source, destination) = (from.ours.octets(), from.theirs.octets());
        let builder = PacketBuilder::ipv6(source, destination, 64).icmpv6_echo_request(3, 4);
        builder.write(&mut packet, b"are you there").unwrap();
        packet
    }

    #[test]
    fn addresses_are_local_share_the_clusters_prefix_and_differ_by_key_and_cluster() {
        let (a, b) = ends();
        assert_eq!(a.ours.octets()[..8], [0xFD, 7, 7, 7, 7, 7, 7, 7]);
        assert_eq!(a.ours.octets()[..8], a.theirs.octets()[..8]);
        assert_ne!(a.ours, a.theirs);
        assert_eq!((a.ours, a.theirs), (b.theirs, b.ours));
        let elsewhere = inner_address(ClusterId([8; 16]), PeerKey([1; 32]));
        assert_ne!(elsewhere.octets()[8..], a.ours.octets()[8..]);
    }

    #[test]
    fn a_packet_is_a_multiple_of_sixteen_and_fits_the_mtu() {
        let (a, b) = ends();
        for len in [0, 1, 15, 16, 256, 1151, PAYLOAD_MAX_BYTES] {
            let packet = a.pack(&vec![9; len]).unwrap();
            assert!(packet.len().is_multiple_of(16) && packet.len() <= MTU_BYTES, "{len}");
            assert_eq!(b.unpack(&packet), Ok(Inner::Payload(&vec![9; len])));
        }
        assert_eq!(a.pack(&[0; PAYLOAD_MAX_BYTES + 1]), None);
    }

    #[test]
    fn only_the_sessions_own_address_may_send_and_only_to_us() {
        let (a, b) = ends();
        let packet = a.pack(b"x").unwrap();
        assert_eq!(a.unpack(&packet), Err(Refusal::Unauthentic), "our own address");
        let other = Ends { theirs: "fd00::1".parse().unwrap(), ..a };
        assert_eq!(b.unpack(&other.pack(b"x").unwrap()), Err(Refusal::Malformed));
    }

    #[test]
    fn other_ports_and_protocols_are_no_payload() {
        let (a, b) = ends();
        let mut packet = Vec::new();
        let ip = || PacketBuilder::ipv6(a.ours.octets(), a.theirs.octets(), 64);
        ip().udp(INNER_PORT, 53).write(&mut packet, b"x").unwrap();
        assert_eq!(b.unpack(&packet), Err(Refusal::Malformed));
        packet.clear();
        ip().tcp(1, 2, 3, 4).write(&mut packet, b"x").unwrap();
        assert_eq!(b.unpack(&packet), Err(Refusal::Malformed));
    }

    #[test]
    fn a_ping_is_answered_and_a_damaged_one_is_not() {
        let (a, b) = ends();
        let mut question = ping(&a);
        let Ok(Inner::Ping(answer)) = b.unpack(&question) else { panic!("no answer") };
        let ip = Ipv6Slice::from_slice(&answer).unwrap();
        assert_eq!((ip.header().source_addr(), ip.header().destination_addr()), (b.ours, b.theirs));
        let reply = Icmpv6Slice::from_slice(ip.payload().payload).unwrap();
        assert!(reply.is_checksum_valid(b.ours.octets(), b.theirs.octets()));
        assert!(matches!(reply.icmp_type(), Icmpv6Type::EchoReply(echo) if echo.seq == 4));
        assert_eq!(reply.payload(), b"are you there");
        assert_eq!(a.unpack(&answer), Err(Refusal::Malformed), "an answer is not answered");
        *question.last_mut().unwrap() ^= 1;
        assert_eq!(b.unpack(&question), Err(Refusal::Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..1400),
                                         framed: bool) {
            let (a, b) = ends();
            if framed && bytes.len() >= 40 {
                let head = a.pack(&bytes[..0]).unwrap();
                bytes[..4].copy_from_slice(&head[..4]);
                bytes[8..40].copy_from_slice(&head[8..40]);
            }
            if let Ok(Inner::Payload(payload)) = b.unpack(&bytes) {
                prop_assert!(payload.len() <= PAYLOAD_MAX_BYTES);
            }
        }
    }
}
