//! Made-up consensuses and microdescriptors as the control port prints them, of any size.
//!
//! Shared by unit tests and benches. Shape and length of the lines are those of the public
//! network; signatures are filler, for tor has checked them before.

use std::fmt::Write as _;

use data_encoding::{BASE64, BASE64_NOPAD};
use sha2::{Digest, Sha256};

/// A relay of a made-up network.
#[derive(Clone)]
pub(crate) struct Relay {
    pub(crate) rsa: [u8; 20],
    pub(crate) ed25519: [u8; 32],
    pub(crate) flags: &'static str,
    pub(crate) protocols: &'static str,
}

/// A made-up network at the moment of one consensus.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) valid_after: u64,
    pub(crate) interval_s: u64,
    pub(crate) srv_previous: Option<[u8; 32]>,
    pub(crate) srv_current: Option<[u8; 32]>,
    pub(crate) params: &'static str,
    pub(crate) relays: Vec<Relay>,
}

impl Network {
    /// A network of `count` HSDirs at noon of 2026-11-20, as the public one is.
    pub(crate) fn public(count: u32) -> Network {
        let mut relays: Vec<Relay> = (0..count).map(Relay::numbered).collect();
        relays.sort_by_key(|relay| relay.rsa);
        Network {
            valid_after: 1_795_176_000,
            interval_s: 3600,
            srv_previous: Some([42; 32]),
            srv_current: Some([41; 32]),
            params: "CircuitPriorityHalflifeMsec=30000 bwauthpid=1 hsdir_spread_store=4",
            relays,
        }
    }

    /// What `GETINFO dir/status-vote/current/consensus-microdesc` prints.
    pub(crate) fn consensus(&self) -> String {
        let mut text = String::from("network-status-version 3 microdesc\nvote-status consensus\n");
        text.push_str("consensus-method 35\n");
        let times = [("valid-after", 0), ("fresh-until", 1), ("valid-until", 3)];
        for (keyword, rounds) in times {
            let at = date(self.valid_after + rounds * self.interval_s);
            writeln!(text, "{keyword} {at}").unwrap();
        }
        text.push_str("voting-delay 300 300\nknown-flags Exit Fast Guard HSDir Running Valid\n");
        writeln!(text, "params {}", self.params).unwrap();
        for (name, srv) in [("previous", self.srv_previous), ("current", self.srv_current)] {
            if let Some(value) = srv {
                writeln!(text, "shared-rand-{name}-value 9 {}", BASE64.encode(&value)).unwrap();
            }
        }
        self.relays.iter().for_each(|relay| relay.entry(&mut text));
        text.push_str("directory-footer\nbandwidth-weights Wbd=0 Wbe=0 Wbg=4194 Wbm=10000\n");
        text.push_str("directory-signature sha256 0232AF901C31A04EE9848595AF9BB7620D4C5B2E 1A2B\n");
        text.push_str("-----BEGIN SIGNATURE-----\nAAAA\n-----END SIGNATURE-----\n");
        text
    }

    /// What `GETINFO md/all` prints.
    pub(crate) fn microdescs(&self) -> String {
        self.relays.iter().map(Relay::microdesc).collect()
    }
}

impl Relay {
    fn numbered(number: u32) -> Relay {
        let ed25519: [u8; 32] = Sha256::digest(number.to_be_bytes()).into();
        let rsa = Sha256::digest(ed25519)[..20].try_into().unwrap();
        Relay {
            rsa,
            ed25519,
            flags: "Fast Guard HSDir Running Stable V2Dir Valid",
            protocols: "Cons=1-2 Desc=1-2 DirCache=2 FlowCtrl=1-2 HSDir=2 HSIntro=4-5 Link=1-5",
        }
    }

    fn entry(&self, text: &mut String) {
        let id = BASE64_NOPAD.encode(&self.rsa);
        let digest = BASE64_NOPAD.encode(&Sha256::digest(self.microdesc()));
        let [a, b, c, d, ..] = self.ed25519;
        writeln!(text, "r relay{a}{b} {id} 2038-01-01 00:00:00 {a}.{b}.{c}.{d} 9001 0").unwrap();
        writeln!(text, "a [2001:db8::{a:x}:{b:x}]:9001\nm {digest}\ns {}", self.flags).unwrap();
        writeln!(text, "v Tor 0.4.8.13\npr {}\nw Bandwidth=12000", self.protocols).unwrap();
    }

    /// The microdescriptor: an old RSA onion key and a family make it as long as real ones.
    pub(crate) fn microdesc(&self) -> String {
        let [a, b, ..] = self.ed25519;
        let filler = BASE64.encode(&[a; 48]);
        let family: String = (0..4u8).map(|i| format!(" ${:040X}", u32::from(a ^ i))).collect();
        format!(
            "onion-key\n-----BEGIN RSA PUBLIC KEY-----\n{filler}\n{filler}\n{filler}\n\
             -----END RSA PUBLIC KEY-----\nntor-onion-key {}\na [2001:db8::{a:x}:{b:x}]:9001\n\
             family{family}\np accept 80,443\nid ed25519 {}\n",
            BASE64.encode(&self.ed25519),
            BASE64_NOPAD.encode(&self.ed25519),
        )
    }
}

fn date(seconds: u64) -> impl std::fmt::Display {
    let time = chrono::DateTime::from_timestamp(i64::try_from(seconds).unwrap(), 0).unwrap();
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}
