//! Ways in, and everything that must keep us out, against a scripted tor.

use std::fs;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};

use super::*;

const COOKIE: [u8; 32] = [7; 32];

/// The other end of the connection.
struct Tor(BufReader<DuplexStream>);

impl Tor {
    async fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        assert!(line.ends_with("\r\n"), "{line:?}");
        line.trim_end().to_owned()
    }

    async fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    async fn introduce(&mut self, methods: &str) {
        assert_eq!(self.hear().await, "PROTOCOLINFO 1");
        let version = "250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n";
        self.say(&format!("250-PROTOCOLINFO 1\r\n250-AUTH METHODS={methods}\r\n{version}")).await;
    }

    /// Answers AUTHCHALLENGE as a tor with `cookie` would; gives the hash it expects then.
    async fn answer_challenge(&mut self, cookie: &[u8]) -> String {
        let command = self.hear().await;
        let nonce = command.strip_prefix("AUTHCHALLENGE SAFECOOKIE ").expect("a challenge");
        let nonce = HEXUPPER.decode(nonce.as_bytes()).unwrap();
        let server_nonce = [9; 32];
        let hash = |key| {
            let mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
            let mac = mac.chain_update(cookie).chain_update(&nonce).chain_update(server_nonce);
            HEXUPPER.encode(&mac.finalize().into_bytes())
        };
        let (proof, nonce) = (hash(SERVER_KEY), HEXUPPER.encode(&server_nonce));
        let answer = format!("250 AUTHCHALLENGE SERVERHASH={proof} SERVERNONCE={nonce}\r\n");
        self.say(&answer).await;
        hash(CLIENT_KEY)
    }
}

/// Authenticates against `script`; both must come to an end.
async fn against<T>(
    credentials: &Credentials,
    script: impl AsyncFnOnce(&mut Tor) -> T,
) -> (Result<String, AuthError>, T) {
    let (mut ours, theirs) = duplex(1024);
    tokio::join!(
        async {
            let result = authenticate(&mut ours, credentials).await;
            drop(ours);
            result
        },
        async {
            let mut tor = Tor(BufReader::new(theirs));
            script(&mut tor).await
        },
    )
}

/// A file in a folder of its own, gone when dropped.
fn secret(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn cookie_methods(methods: &str, path: &Path) -> String {
    format!("{methods} COOKIEFILE=\"{}\"", path.display())
}

async fn refusal(
    credentials: &Credentials,
    script: impl AsyncFnOnce(&mut Tor),
) -> (AuthError, String) {
    let (result, ()) = against(credentials, script).await;
    let error = result.expect_err("must not be let in");
    let text = error.to_string();
    (error, text)
}

#[tokio::test]
async fn null_is_used_when_nothing_else_is_offered() {
    let (result, ()) = against(&Credentials::default(), async |tor| {
        tor.introduce("NULL").await;
        assert_eq!(tor.hear().await, "AUTHENTICATE");
        tor.say("250 OK\r\n650 left for the codec").await;
    })
    .await;
    assert_eq!(result.unwrap(), "0.4.9.11");
}

#[tokio::test]
async fn nothing_behind_the_last_answer_is_read() {
    let (mut ours, theirs) = duplex(1024);
    let mut tor = Tor(BufReader::new(theirs));
    let credentials = Credentials::default();
    let (result, ()) = tokio::join!(authenticate(&mut ours, &credentials), async {
        tor.introduce("NULL").await;
        tor.hear().await;
        tor.say("250 OK\r\nmore\r\n").await;
    });
    result.unwrap();
    let mut rest = String::new();
    BufReader::new(ours).read_line(&mut rest).await.unwrap();
    assert_eq!(rest, "more\r\n");
}

#[tokio::test]
async fn safecookie_is_preferred_and_both_sides_prove_the_cookie() {
    let (_folder, path) = secret(&COOKIE);
    let (result, ()) = against(&Credentials::default(), async |tor| {
        tor.introduce(&cookie_methods("NULL,COOKIE,HASHEDPASSWORD,SAFECOOKIE", &path)).await;
        let expected = tor.answer_challenge(&COOKIE).await;
        assert_eq!(tor.hear().await, format!("AUTHENTICATE {expected}"));
        tor.say("250 OK\r\n").await;
    })
    .await;
    result.unwrap();
}

#[tokio::test]
async fn a_tor_with_another_cookie_gets_nothing() {
    let (_folder, path) = secret(&COOKIE);
    let password_file = Some(path.clone());
    let credentials = Credentials { cookie_file: None, password_file };
    let (error, text) = refusal(&credentials, async |tor| {
        tor.introduce(&cookie_methods("COOKIE,SAFECOOKIE,HASHEDPASSWORD", &path)).await;
        tor.answer_challenge(&[8; 32]).await;
        let mut rest = String::new();
        tor.0.read_line(&mut rest).await.unwrap();
        assert_eq!(rest, "", "nothing may be sent after a wrong server hash");
    })
    .await;
    assert!(matches!(error, AuthError::WrongServerHash { .. }));
    assert!(text.contains("not the tor that wrote the cookie"), "{text}");
}

#[tokio::test]
async fn a_garbled_challenge_is_an_error() {
    let (_folder, path) = secret(&COOKIE);
    for answer in [
        "250 AUTHCHALLENGE\r\n".to_owned(),
        "250 OK\r\n".to_owned(),
        format!("250 AUTHCHALLENGE SERVERHASH={} SERVERNONCE=AB\r\n", "AB".repeat(32)),
        "513 Invalid nonce\r\n".to_owned(),
        "what?\r\n".to_owned(),
        "250-a\r\n250 b\r\n".to_owned(),
    ] {
        let (error, _) = refusal(&Credentials::default(), async |tor| {
            tor.introduce(&cookie_methods("SAFECOOKIE", &path)).await;
            tor.hear().await;
            tor.say(&answer).await;
        })
        .await;
        assert!(matches!(error, AuthError::Challenge { .. }), "{answer:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_plain_cookie_is_sent_as_hexadecimal() {
    let (_folder, path) = secret(&COOKIE);
    let (result, ()) = against(&Credentials::default(), async |tor| {
        tor.introduce(&cookie_methods("COOKIE", &path)).await;
        assert_eq!(tor.hear().await, format!("AUTHENTICATE {}", "07".repeat(32)));
        tor.say("250 OK\r\n").await;
    })
    .await;
    result.unwrap();
}

#[tokio::test]
async fn the_configured_cookie_file_overrides_the_one_tor_names() {
    let (_folder, path) = secret(&COOKIE);
    let credentials = Credentials { cookie_file: Some(path), password_file: None };
    let (result, ()) = against(&credentials, async |tor| {
        tor.introduce(&cookie_methods("COOKIE", Path::new("/nonexistent"))).await;
        assert_eq!(tor.hear().await, format!("AUTHENTICATE {}", "07".repeat(32)));
        tor.say("250 OK\r\n").await;
    })
    .await;
    result.unwrap();
}

#[tokio::test]
async fn a_password_is_sent_whole_and_used_when_the_cookie_cannot_be_read() {
    let (_folder, path) = secret(b"pass 7\"\\\n");
    let credentials = Credentials { cookie_file: None, password_file: Some(path) };
    let (result, ()) = against(&credentials, async |tor| {
        let methods = "COOKIE,SAFECOOKIE,HASHEDPASSWORD";
        tor.introduce(&cookie_methods(methods, Path::new("/nonexistent"))).await;
        let expected = HEXUPPER.encode(b"pass 7\"\\");
        assert_eq!(tor.hear().await, format!("AUTHENTICATE {expected}"));
        tor.say("250 OK\r\n").await;
    })
    .await;
    result.unwrap();
}

#[tokio::test]
async fn an_unusable_cookie_is_named_with_its_cause() {
    let (folder, short) = secret(&COOKIE[..31]);
    let (_other, long) = secret(&[0; 4096]);
    for (path, cause) in [
        (short.as_path(), "has 31 bytes instead of 32"),
        (&long, "has 4096 bytes instead of 32"),
        (Path::new("/nonexistent"), "/nonexistent cannot be read"),
        (folder.path(), "is not a regular file"),
        (Path::new("/dev/zero"), "is not a regular file"),
    ] {
        let (error, text) = refusal(&Credentials::default(), async |tor| {
            tor.introduce(&cookie_methods("COOKIE,SAFECOOKIE", path)).await;
        })
        .await;
        assert!(matches!(error, AuthError::NoUsableMethod { .. }), "{error:?}");
        assert!(text.contains(cause), "{text}");
    }
}

#[tokio::test]
async fn a_missing_password_is_named() {
    let (_folder, empty) = secret(b"\r\n");
    let empty = Credentials { cookie_file: None, password_file: Some(empty) };
    let none = "no password file is configured";
    for (credentials, cause) in [(Credentials::default(), none), (empty, "1 to 1024")] {
        let (_, text) = refusal(&credentials, async |tor| {
            tor.introduce("HASHEDPASSWORD").await;
        })
        .await;
        assert!(text.contains(cause), "{text}");
    }
}

#[tokio::test]
async fn an_unknown_method_is_named() {
    let (error, text) = refusal(&Credentials::default(), async |tor| {
        tor.introduce("QUANTUMCOOKIE").await;
    })
    .await;
    assert!(matches!(error, AuthError::UnknownMethod { .. }));
    assert!(text.contains("QUANTUMCOOKIE"), "{text}");
}

#[tokio::test]
async fn what_is_no_answer_to_protocolinfo_is_quoted() {
    for answer in [
        "HTTP/1.1 400 Bad Request\r\n",
        "250 OK\r\n",
        "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250 OK\r\n",
        "250-PROTOCOLINFO 1\r\n250-VERSION Tor=\"1\"\r\n250-X=1\r\n250 OK\r\n",
        "250-PROTOCOLINFO 1\r\n250-AUTH METHODS= COOKIEFILE=\"\\\r\n250 OK\r\n",
        "514 Authentication required.\r\n",
    ] {
        let (error, _) = refusal(&Credentials::default(), async |tor| {
            tor.hear().await;
            tor.say(answer).await;
        })
        .await;
        let expected =
            matches!(error, AuthError::ProtocolInfo { .. } | AuthError::UnknownMethod { .. });
        assert!(expected, "{answer:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_port_that_never_stops_talking_is_left() {
    let (mut ours, mut theirs) = duplex(64);
    let flood = async { while theirs.write_all(b"250-PROTOCOLINFO 1\r\n").await.is_ok() {} };
    let (result, ()) = tokio::join!(
        async {
            let result = authenticate(&mut ours, &Credentials::default()).await;
            drop(ours);
            result
        },
        flood
    );
    assert!(matches!(result, Err(AuthError::Io(error)) if error.to_string().contains("too much")));
}

#[tokio::test]
async fn a_port_closed_half_way_is_an_error() {
    let (_folder, path) = secret(&COOKIE);
    let methods = cookie_methods("SAFECOOKIE", &path);
    for words in 0..3 {
        let (error, _) = refusal(&Credentials::default(), async |tor| {
            if words > 0 {
                tor.introduce(&methods).await;
            }
            if words > 1 {
                tor.answer_challenge(&COOKIE).await;
            }
            tor.hear().await;
        })
        .await;
        assert!(matches!(error, AuthError::Io(_)), "after {words}: {error:?}");
    }
}

#[tokio::test]
async fn a_refusal_carries_tors_words() {
    let (_, text) = refusal(&Credentials::default(), async |tor| {
        tor.introduce("NULL").await;
        tor.hear().await;
        tor.say("515 Authentication failed: Wrong length on authentication cookie.\r\n").await;
    })
    .await;
    assert!(text.contains("515 Authentication failed: Wrong length"), "{text}");
}
