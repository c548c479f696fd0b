//! ICMPv6 echo over a raw socket: the kernel fills in the checksum.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, sockopt};

const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;

/// How long one question waits: the first ones can come before the tunnel is up.
const WAIT: Duration = Duration::from_millis(500);

/// Pings until so many answers have come, and returns how long each took.
///
/// # Panics
/// When they do not come in time.
#[expect(clippy::disallowed_methods, reason = "a test measures with the real clock")]
pub(crate) fn ping(target: Ipv6Addr, count: usize, patience: Duration) -> Vec<Duration> {
    let socket =
        rustix::net::socket(AddressFamily::INET6, SocketType::RAW, Some(ipproto::ICMPV6)).unwrap();
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(WAIT)).unwrap();
    let to = SocketAddr::V6(SocketAddrV6::new(target, 0, 0, 0));
    let deadline = Instant::now() + patience;
    let mut trips = Vec::new();
    for number in 0..=u8::MAX {
        trips.extend(round_trip(&socket, &to, number));
        if trips.len() == count {
            return trips;
        }
        assert!(Instant::now() < deadline, "{} of {count} answers", trips.len());
    }
    panic!("{} of {count} answers", trips.len());
}

/// How long an answer took; `None` when none came.
#[expect(clippy::disallowed_methods, reason = "a test measures with the real clock")]
fn round_trip(socket: &OwnedFd, to: &SocketAddr, number: u8) -> Option<Duration> {
    let question = [ECHO_REQUEST, 0, 0, 0, 0x52, 0x42, 0, number, 1, 2, 3, 4];
    let sent = Instant::now();
    rustix::net::sendto(socket, &question, SendFlags::empty(), to).unwrap();
    let mut buffer = [0; 1500];
    while sent.elapsed() < WAIT {
        let Ok((_, len)) = rustix::net::recv(socket, &mut buffer, RecvFlags::empty()) else {
            return None;
        };
        let answer = &buffer[..len];
        if len == question.len() && answer[0] == ECHO_REPLY && answer[4..] == question[4..] {
            return Some(sent.elapsed());
        }
    }
    None
}
