//! SOCKS version 5 by name, blocking (RFC 1928, RFC 1929; Tor's socks-extensions).

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Instant;

use crate::clock;

/// Why a stream did not come about.
#[derive(Debug)]
pub(crate) enum SocksError {
    /// The proxy's own reply code, never zero.
    Refused(u8),
    /// The proxy was not reached, went away, or spoke something else.
    Io(io::Error),
}

impl From<io::Error> for SocksError {
    fn from(error: io::Error) -> SocksError {
        SocksError::Io(error)
    }
}

/// A TCP stream whose reads and writes all end by one deadline.
#[derive(Debug)]
pub(crate) struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Timed {
    pub(crate) fn connect(port: u16, deadline: Instant) -> io::Result<Timed> {
        let left = clock::until(deadline);
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        let stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), left)?;
        Ok(Timed { stream, deadline })
    }

    fn left(&self) -> io::Result<Option<std::time::Duration>> {
        let left = clock::until(self.deadline);
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Opens a stream to `host:port` through the proxy, as the user `user`.
///
/// Tor never lets streams of two users share a circuit.
pub(crate) fn open<S: Read + Write>(
    proxy: &mut S,
    user: &str,
    host: &str,
    port: u16,
) -> Result<(), SocksError> {
    const NAME_AND_PASSWORD: u8 = 2;
    proxy.write_all(&[5, 1, NAME_AND_PASSWORD])?;
    expect(proxy, [5, NAME_AND_PASSWORD], "the choice of a method")?;

    let mut login = vec![1];
    push_short(&mut login, user)?;
    push_short(&mut login, "x")?;
    proxy.write_all(&login)?;
    expect(proxy, [1, 0], "the login")?;

    const CONNECT: u8 = 1;
    const BY_NAME: u8 = 3;
    let mut request = vec![5, CONNECT, 0, BY_NAME];
    push_short(&mut request, host)?;
    request.extend(port.to_be_bytes());
    proxy.write_all(&request)?;
    read_reply(proxy)
}

fn read_reply<S: Read>(proxy: &mut S) -> Result<(), SocksError> {
    let mut head = [0; 4];
    proxy.read_exact(&mut head)?;
    let [version, code, _, address_type] = head;
    if version != 5 {
        return Err(SocksError::Io(unexpected("the reply to CONNECT")));
    }
    if code != 0 {
        return Err(SocksError::Refused(code));
    }
    let address_len = match address_type {
        1 => 4,
        4 => 16,
        3 => {
            let mut len = [0];
            proxy.read_exact(&mut len)?;
            usize::from(len[0])
        }
        _ => return Err(SocksError::Io(unexpected("the address in the reply"))),
    };
    let mut address_and_port = vec![0; address_len + 2];
    proxy.read_exact(&mut address_and_port)?;
    Ok(())
}

fn expect<S: Read>(proxy: &mut S, wanted: [u8; 2], what: &str) -> Result<(), SocksError> {
    let mut answer = [0; 2];
    proxy.read_exact(&mut answer)?;
    if answer == wanted { Ok(()) } else { Err(SocksError::Io(unexpected(what))) }
}

fn push_short(to: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let len = u8::try_from(text.len()).map_err(|_| unexpected("a text of over 255 bytes"))?;
    to.push(len);
    to.extend_from_slice(text.as_bytes());
    Ok(())
}

fn unexpected(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("SOCKS: {what} is not as it must be"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    struct Script {
        answers: Cursor<Vec<u8>>,
        sent: Vec<u8>,
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.answers.read(buffer)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.sent.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn run(answers: &[u8]) -> (Result<(), SocksError>, Vec<u8>) {
        let mut script = Script { answers: Cursor::new(answers.to_vec()), sent: Vec::new() };
        (open(&mut script, "me", "a.onion", 80), script.sent)
    }

    #[test]
    fn name_is_sent_as_a_name() {
        let (outcome, sent) = run(&[5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert!(outcome.is_ok());
        assert!(sent.ends_with(b"\x05\x01\x00\x03\x07a.onion\x00\x50"));
        assert!(sent.starts_with(b"\x05\x01\x02\x01\x02me\x01x"));
    }

    #[test]
    fn reply_code_is_handed_on() {
        let (outcome, _) = run(&[5, 2, 1, 0, 5, 0xF2, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert!(matches!(outcome, Err(SocksError::Refused(0xF2))));
        let (outcome, _) = run(&[5, 0xFF]);
        assert!(matches!(outcome, Err(SocksError::Io(_))));
        let (outcome, _) = run(&[5, 2, 1]);
        assert!(matches!(outcome, Err(SocksError::Io(_))));
    }
}
