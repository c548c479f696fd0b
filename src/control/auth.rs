//! How to be let in (control-spec, sections "PROTOCOLINFO", "AUTHENTICATE", "AUTHCHALLENGE").
//!
//! PROTOCOLINFO and AUTHENTICATE are torut's, over a stream that bounds what the other side may
//! say. The challenge of SAFECOOKIE is made here, because tor has to prove *first* that it knows
//! the cookie: only then does it get the hash that opens the port.
//!
//! Knows no time-outs: the caller sets one around it.

mod secret;
mod tap;

use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXUPPER;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use torut::control::{Conn, TorAuthData, TorAuthMethod, TorPreAuthInfo, UnauthenticatedConn};
use zeroize::Zeroizing;

use super::words::{self, Words};
use tap::Tap;

/// The most that tor may say before it has let us in, in bytes.
const ANSWERS_MAX_BYTES: usize = 16 << 10;
/// The keys of the two hashes (control-spec, "AUTHCHALLENGE").
const SERVER_KEY: &[u8] = b"Tor safe cookie authentication server-to-controller hash";
const CLIENT_KEY: &[u8] = b"Tor safe cookie authentication controller-to-server hash";

/// What the operator gives beside what tor says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The cookie, when it is not where tor says (as in another mount namespace).
    pub cookie_file: Option<PathBuf>,
    /// A file whose content, without the last end of line, is the password of
    /// `HashedControlPassword`.
    pub password_file: Option<PathBuf>,
}

/// Why we were not let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The answer to PROTOCOLINFO is none.
    #[error("no readable answer to PROTOCOLINFO ({detail}); is this a tor control port?")]
    ProtocolInfo {
        /// What is wrong with it.
        detail: String,
    },
    /// Tor offers a method that is not known here.
    #[error(
        "tor offers the authentication methods {offered}; known are SAFECOOKIE, COOKIE, \
         HASHEDPASSWORD and NULL: set CookieAuthentication 1 in torrc"
    )]
    UnknownMethod {
        /// The methods as tor lists them.
        offered: String,
    },
    /// No offered method can be used.
    #[error("tor offers {offered}, but: {causes}")]
    NoUsableMethod {
        /// The offered methods, strongest first.
        offered: String,
        /// Why each cannot be used.
        causes: String,
    },
    /// The answer to AUTHCHALLENGE is none.
    #[error("no readable answer to AUTHCHALLENGE: {detail}")]
    Challenge {
        /// What is wrong with it.
        detail: String,
    },
    /// The other side does not know the cookie.
    #[error(
        "this is not the tor that wrote the cookie {}: it does not know its content; nothing \
         was revealed to it. Compare ControlSocket and CookieAuthFile in torrc", path.display()
    )]
    WrongServerHash {
        /// The cookie that was read.
        path: PathBuf,
    },
    /// Tor did not accept what we showed.
    #[error("tor refused {method}: {answer}")]
    Refused {
        /// The method.
        method: &'static str,
        /// Tor's last line.
        answer: String,
    },
    /// The stream failed.
    #[error("the control port was lost while authenticating: {0}")]
    Io(#[from] io::Error),
}

/// The way in that was chosen.
enum Choice {
    SafeCookie(PathBuf, Zeroizing<Vec<u8>>),
    Cookie(Zeroizing<Vec<u8>>),
    Password(Zeroizing<Vec<u8>>),
    Null,
}

/// Authenticates by the strongest method that tor offers and that can be used here: SAFECOOKIE,
/// COOKIE, HASHEDPASSWORD, NULL. Gives tor's version; `stream` then stands behind the last byte of
/// tor's answer.
///
/// # Errors
/// Any [`AuthError`]; the stream is to be closed then, as tor does too.
pub async fn authenticate<S>(stream: &mut S, credentials: &Credentials) -> Result<String, AuthError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut tap = Tap::new(stream, ANSWERS_MAX_BYTES);
    let info = protocol_info(&mut tap).await?;
    match choose(&info, credentials).await? {
        Choice::SafeCookie(path, cookie) => {
            let hash = challenge(&mut tap, &path, &cookie).await?;
            show(&mut tap, "SAFECOOKIE", TorAuthData::Cookie(hash.as_slice().into())).await?;
        }
        Choice::Cookie(cookie) => {
            show(&mut tap, "COOKIE", TorAuthData::Cookie(cookie.as_slice().into())).await?;
        }
        Choice::Password(password) => {
            // As hexadecimal, which tor takes too: torut's quoting garbles a space before a digit.
            let password = TorAuthData::Cookie(password.as_slice().into());
            show(&mut tap, "HASHEDPASSWORD", password).await?;
        }
        Choice::Null => show(&mut tap, "NULL", TorAuthData::Null).await?,
    }
    Ok(info.tor_version.into_owned())
}

async fn protocol_info<S>(tap: &mut Tap<'_, S>) -> Result<TorPreAuthInfo<'static>, AuthError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut conn = UnauthenticatedConn::new(&mut *tap);
    let failure = match conn.load_protocol_info().await {
        Ok(info) => return Ok(info.clone()),
        Err(failure) => failure,
    };
    if let torut::control::ConnError::IOError(error) = failure {
        return Err(AuthError::Io(error));
    }
    let heard = tap.heard();
    let methods = heard.lines().find_map(|line| {
        let words = Words::new(line.strip_prefix("250-AUTH ")?);
        words.filter_map(words::pair).find_map(|(key, value)| (key == "METHODS").then_some(value))
    });
    let known = ["SAFECOOKIE", "COOKIE", "HASHEDPASSWORD", "NULL"];
    match methods {
        Some(offered) if offered.split(',').any(|method| !known.contains(&method)) => {
            Err(AuthError::UnknownMethod { offered: shortened(offered) })
        }
        _ => Err(AuthError::ProtocolInfo { detail: format!("{:?}", shortened(&heard)) }),
    }
}

/// Takes the strongest method whose secret can be had.
async fn choose(info: &TorPreAuthInfo<'_>, credentials: &Credentials) -> Result<Choice, AuthError> {
    let offers = |method| info.auth_methods.contains(&method);
    let (mut offered, mut causes) = (Vec::new(), Vec::new());
    if offers(TorAuthMethod::SafeCookie) || offers(TorAuthMethod::Cookie) {
        let safe = offers(TorAuthMethod::SafeCookie);
        offered.push(if safe { "SAFECOOKIE" } else { "COOKIE" });
        let path = match (&credentials.cookie_file, &info.cookie_file) {
            (Some(path), _) => Some(path.clone()),
            (None, path) => path.as_ref().map(|path| PathBuf::from(path.as_ref())),
        };
        match secret::cookie(path.as_deref()).await {
            Ok((path, cookie)) if safe => return Ok(Choice::SafeCookie(path, cookie)),
            Ok((_, cookie)) => return Ok(Choice::Cookie(cookie)),
            Err(cause) => causes.push(cause.to_string()),
        }
    }
    if offers(TorAuthMethod::HashedPassword) {
        offered.push("HASHEDPASSWORD");
        match secret::password(credentials.password_file.as_deref()).await {
            Ok(password) => return Ok(Choice::Password(password)),
            Err(cause) => causes.push(cause.to_string()),
        }
    }
    if offers(TorAuthMethod::Null) {
        return Ok(Choice::Null);
    }
    let (offered, causes) = (offered.join(", "), causes.join("; "));
    Err(AuthError::NoUsableMethod { offered, causes })
}

/// Lets tor prove that it knows the cookie; gives the hash that proves it of us.
async fn challenge<S>(
    tap: &mut Tap<'_, S>,
    path: &Path,
    cookie: &[u8],
) -> Result<[u8; 32], AuthError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let nonce: [u8; 32] = rand::random();
    let command = format!("AUTHCHALLENGE SAFECOOKIE {}\r\n", HEXUPPER.encode(&nonce));
    tap.forget();
    let mut conn = Conn::new(&mut *tap);
    conn.write_data(command.as_bytes()).await.map_err(lost)?;
    let answer = match conn.receive_data().await {
        Ok((250, lines)) if lines.len() == 1 => lines.concat(),
        Err(torut::control::ConnError::IOError(error)) => return Err(AuthError::Io(error)),
        _ => return Err(AuthError::Challenge { detail: format!("{:?}", shortened(&tap.heard())) }),
    };
    let field = |name: &str| {
        let mut pairs = Words::new(&answer).filter_map(words::pair);
        pairs.find_map(|(key, value)| (key == name).then(|| words::fixed_hex::<32>(value)))?
    };
    let (Some(server_hash), Some(server_nonce)) = (field("SERVERHASH"), field("SERVERNONCE"))
    else {
        return Err(AuthError::Challenge { detail: format!("{:?}", shortened(&answer)) });
    };
    let mac = |key| {
        let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.chain_update(cookie).chain_update(nonce).chain_update(server_nonce)
    };
    if mac(SERVER_KEY).verify_slice(&server_hash).is_err() {
        return Err(AuthError::WrongServerHash { path: path.to_owned() });
    }
    Ok(mac(CLIENT_KEY).finalize().into_bytes().into())
}

/// Sends AUTHENTICATE and reads the verdict.
async fn show<S>(
    tap: &mut Tap<'_, S>,
    method: &'static str,
    data: TorAuthData<'_>,
) -> Result<(), AuthError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    tap.forget();
    match UnauthenticatedConn::new(&mut *tap).authenticate(&data).await {
        Ok(()) => Ok(()),
        Err(torut::control::ConnError::IOError(error)) => Err(AuthError::Io(error)),
        Err(_) => Err(AuthError::Refused { method, answer: shortened(tap.heard().trim_end()) }),
    }
}

fn lost(error: torut::control::ConnError) -> AuthError {
    match error {
        torut::control::ConnError::IOError(error) => AuthError::Io(error),
        other => AuthError::Io(io::Error::other(other.to_string())),
    }
}

fn shortened(text: &str) -> String {
    words::excerpt(text, 120)
}

#[cfg(test)]
mod tests;
