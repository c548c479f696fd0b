//! The layout of single values: fixed-width big-endian integers, prefixed texts, flagged options.
//!
//! A value has one encoding. What is out of bounds is refused here, so that whatever was decoded
//! needs no second look.

use std::net::{IpAddr, SocketAddr};

use crate::ident::{
    ClusterId, ClusterKey, Epoch, HsId, Incarnation, NodeId, NodeKey, PeerKey, RelayId, TokenId,
};
use crate::time::Wall;

use super::frame::DecodeError;
use super::reader::Reader;
use super::writer::Writer;

/// The longest name of a node, as [`NodeId`] has it.
const NAME_MAX_BYTES: usize = 32;

/// A value with a layout.
pub(super) trait Field: Sized {
    fn write(&self, to: &mut Writer);
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// A value that comes in lists.
pub(super) trait Listed: Field {
    /// The most of them in one list, below 256.
    const MAX: usize;
    /// The list's name.
    const WHAT: &'static str;
}

macro_rules! integer {
    ($($integer:ty),+) => {
        $(impl Field for $integer {
            fn write(&self, to: &mut Writer) {
                to.put(&self.to_be_bytes());
            }
            fn read(from: &mut Reader<'_>) -> Result<$integer, DecodeError> {
                Ok(<$integer>::from_be_bytes(from.take_array()?))
            }
        })+
    };
}

integer!(u8, u16, u32, u64);

impl<const N: usize> Field for [u8; N] {
    fn write(&self, to: &mut Writer) {
        to.put(self);
    }
    fn read(from: &mut Reader<'_>) -> Result<[u8; N], DecodeError> {
        from.take_array()
    }
}

macro_rules! newtype {
    ($($name:ident),+) => {
        $(impl Field for $name {
            fn write(&self, to: &mut Writer) {
                self.0.write(to);
            }
            fn read(from: &mut Reader<'_>) -> Result<$name, DecodeError> {
                Ok($name(Field::read(from)?))
            }
        })+
    };
}

newtype!(Wall, Incarnation, Epoch, HsId, RelayId);
newtype!(PeerKey, NodeKey, ClusterKey, ClusterId, TokenId);

impl Field for bool {
    fn write(&self, to: &mut Writer) {
        to.put(&[u8::from(*self)]);
    }
    fn read(from: &mut Reader<'_>) -> Result<bool, DecodeError> {
        match u8::read(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Field("flag")),
        }
    }
}

impl<T: Field> Field for Option<T> {
    fn write(&self, to: &mut Writer) {
        self.is_some().write(to);
        if let Some(value) = self {
            value.write(to);
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Option<T>, DecodeError> {
        bool::read(from)?.then(|| T::read(from)).transpose()
    }
}

impl<T: Field> Field for Box<T> {
    fn write(&self, to: &mut Writer) {
        T::write(self, to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Box<T>, DecodeError> {
        T::read(from).map(Box::new)
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
        self.1.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<(A, B), DecodeError> {
        Ok((A::read(from)?, B::read(from)?))
    }
}

impl<T: Listed> Field for Vec<T> {
    fn write(&self, to: &mut Writer) {
        to.put_count(self.len(), T::MAX, T::WHAT);
        self.iter().for_each(|entry| entry.write(to));
    }
    fn read(from: &mut Reader<'_>) -> Result<Vec<T>, DecodeError> {
        let count = from.take_count(T::MAX, T::WHAT)?;
        (0..count).map(|_| T::read(from)).collect()
    }
}

impl Field for NodeId {
    fn write(&self, to: &mut Writer) {
        to.put_prefixed(self.as_str().as_bytes(), NAME_MAX_BYTES, "name");
    }
    fn read(from: &mut Reader<'_>) -> Result<NodeId, DecodeError> {
        let text = std::str::from_utf8(from.take_prefixed(NAME_MAX_BYTES, "name")?);
        text.ok().and_then(|text| text.parse().ok()).ok_or(DecodeError::Field("name"))
    }
}

const IPV4: u8 = 4;
const IPV6: u8 = 6;

/// The scope and flow label of an IPv6 address mean something on one machine only and stay there.
impl Field for SocketAddr {
    fn write(&self, to: &mut Writer) {
        match self.ip() {
            IpAddr::V4(ip) => (IPV4, ip.octets()).write(to),
            IpAddr::V6(ip) => (IPV6, ip.octets()).write(to),
        }
        self.port().write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<SocketAddr, DecodeError> {
        let ip = match u8::read(from)? {
            IPV4 => IpAddr::from(<[u8; 4]>::read(from)?),
            IPV6 => IpAddr::from(<[u8; 16]>::read(from)?),
            _ => return Err(DecodeError::Field("address family")),
        };
        Ok(SocketAddr::new(ip, u16::read(from)?))
    }
}

/// Printable ASCII without control characters, at most `max` bytes.
pub(super) fn read_text(
    from: &mut Reader<'_>,
    max: usize,
    what: &'static str,
) -> Result<String, DecodeError> {
    let bytes = from.take_prefixed(max, what)?;
    let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let text = std::str::from_utf8(bytes).ok().filter(|_| printable);
    text.map(str::to_owned).ok_or(DecodeError::Field(what))
}

/// Makes a record of a struct: its fields in the order given, all of them.
///
/// `field as Rule` reads and writes by the functions of `Rule` where the type alone does not say
/// the bounds; `where check` refuses what no single field can tell.
macro_rules! record {
    ($name:ident { $($field:ident $(as $rule:ident)?),+ $(,)? } $(where $check:path)?) => {
        impl $crate::wire::field::Field for $name {
            fn write(&self, to: &mut $crate::wire::writer::Writer) {
                let $name { $($field),+ } = self;
                $($crate::wire::field::record!(@write to $field $($rule)?);)+
            }
            fn read(
                from: &mut $crate::wire::reader::Reader<'_>,
            ) -> Result<$name, $crate::wire::frame::DecodeError> {
                $(let $field = $crate::wire::field::record!(@read from $($rule)?)?;)+
                let value = $name { $($field),+ };
                $($check(&value)?;)?
                Ok(value)
            }
        }
    };
    (@write $to:ident $field:ident) => { $crate::wire::field::Field::write($field, $to) };
    (@write $to:ident $field:ident $rule:ident) => { $rule::write($field, $to) };
    (@read $from:ident) => { $crate::wire::field::Field::read($from) };
    (@read $from:ident $rule:ident) => { $rule::read($from) };
}

pub(super) use record;
