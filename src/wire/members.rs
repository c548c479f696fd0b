//! The layout of entries, invitations' records and what newcomers and doors tell each other.
//!
//! What is signed is written first, the signature follows, and what nobody signs comes last. An
//! entry cannot gain fields within a version of the protocol: a node that does not know them could
//! not check the signature.

use crate::ident::HsId;
use crate::message::{
    Announcement, Certificate, JoinRefusal, JoinRequest, MEMBERS_PER_FRAME_MAX, Member,
    SERVICES_MAX, SUCCESSIONS_MAX, Succession, TOKENS_PER_FRAME_MAX, Token, VERSION_MAX_BYTES,
    Welcome,
};

use super::field::{Field, Listed, read_text, record};
use super::frame::DecodeError;
use super::reader::Reader;
use super::writer::Writer;

/// Something that one key vouches for.
pub(super) trait Signed: Field {
    /// Keeps signatures over different things apart.
    const CONTEXT: &'static str;
    /// What the signature covers, without the context.
    fn write_covered(&self, to: &mut Writer);
    fn signature(&self) -> &[u8; 64];
}

/// A [`record`] with a signature between the fields that it covers and the others.
macro_rules! signed_record {
    (
        $name:ident, $context:literal,
        { $($field:ident $(as $rule:ident)?),+ $(,)? }, { $($free:ident),* }
    ) => {
        record!($name { $($field $(as $rule)?),+, signature $(, $free)* });

        impl Signed for $name {
            const CONTEXT: &'static str = $context;

            fn write_covered(&self, to: &mut Writer) {
                let $name { $($field,)+ signature: _ $(, $free: _)* } = self;
                $(record!(@write to $field $($rule)?);)+
            }

            fn signature(&self) -> &[u8; 64] {
                &self.signature
            }
        }
    };
}

signed_record!(
    Certificate,
    "rustbalance certificate v1",
    {
        name,
        key,
        node_key,
        bootstrap,
        publisher,
        removed,
        serial,
        issued,
        token,
        generation,
    },
    {}
);

signed_record!(
    Announcement,
    "rustbalance announcement v1",
    {
        name,
        incarnation,
        endpoint,
        onion,
        client_key,
        instance,
        priority,
        weight as Weight,
        spare,
        drained,
        left,
        version as Version,
    },
    {}
);

signed_record!(Succession, "rustbalance succession v1", { generation, key }, {});

signed_record!(
    Token,
    "rustbalance invitation record v1",
    {
        id,
        key,
        issuer,
        invited,
        bootstrap,
        publisher,
        expires,
        generation,
    },
    { used_by, revoked }
);

record!(Member { certificate, announcement });
record!(JoinRequest { name, key, node_key, announcement });
record!(Welcome { certificate, key, cluster, services });

macro_rules! listed {
    ($($name:ident, $max:expr, $what:literal;)+) => {
        $(impl Listed for $name {
            const MAX: usize = $max;
            const WHAT: &'static str = $what;
        })+
    };
}

listed! {
    Member, MEMBERS_PER_FRAME_MAX, "entries";
    Succession, SUCCESSIONS_MAX, "certifying keys";
    Token, TOKENS_PER_FRAME_MAX, "records of invitations";
    HsId, SERVICES_MAX, "master addresses";
}

/// 1 to 100.
struct Weight;

impl Weight {
    fn write(weight: &u8, to: &mut Writer) {
        weight.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<u8, DecodeError> {
        let weight = u8::read(from)?;
        if (1..=100).contains(&weight) { Ok(weight) } else { Err(DecodeError::Field("weight")) }
    }
}

/// A program's version.
struct Version;

impl Version {
    fn write(version: &str, to: &mut Writer) {
        to.put_prefixed(version.as_bytes(), VERSION_MAX_BYTES, "version");
    }

    fn read(from: &mut Reader<'_>) -> Result<String, DecodeError> {
        read_text(from, VERSION_MAX_BYTES, "version")
    }
}

const JOIN_REFUSALS: [JoinRefusal; 10] = [
    JoinRefusal::TokenUsed,
    JoinRefusal::TokenExpired,
    JoinRefusal::TokenRevoked,
    JoinRefusal::InviterGone,
    JoinRefusal::OtherName,
    JoinRefusal::NameTaken,
    JoinRefusal::KeyTaken,
    JoinRefusal::Full,
    JoinRefusal::NotBootstrap,
    JoinRefusal::Malformed,
];

fn number(refusal: JoinRefusal) -> u8 {
    match refusal {
        JoinRefusal::TokenUsed => 1,
        JoinRefusal::TokenExpired => 2,
        JoinRefusal::TokenRevoked => 3,
        JoinRefusal::InviterGone => 4,
        JoinRefusal::OtherName => 5,
        JoinRefusal::NameTaken => 6,
        JoinRefusal::KeyTaken => 7,
        JoinRefusal::Full => 8,
        JoinRefusal::NotBootstrap => 9,
        JoinRefusal::Malformed => 10,
    }
}

impl Field for JoinRefusal {
    fn write(&self, to: &mut Writer) {
        number(*self).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<JoinRefusal, DecodeError> {
        let wanted = u8::read(from)?;
        let refusal = JOIN_REFUSALS.into_iter().find(|refusal| number(*refusal) == wanted);
        refusal.ok_or(DecodeError::Field("reason of a refusal"))
    }
}
