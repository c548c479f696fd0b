//! The rank rule: of all that may publish, the first one does.
//!
//! It stands in until the right to publish is a lease: it keeps two nodes that see each other
//! from publishing both, and nothing more.

use crate::ident::NodeId;

/// A node's place: the lower priority comes first, then the name.
pub(super) type Rank<'a> = (u16, &'a NodeId);

/// Whether one of the others comes before `own`.
pub(super) fn stands_by<'a>(own: Rank<'a>, mut others: impl Iterator<Item = Rank<'a>>) -> bool {
    others.any(|other| other < own)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::front;
    use super::*;

    #[test]
    fn the_lower_priority_publishes_and_among_equals_the_first_name() {
        let (a, b) = (front("a"), front("b"));
        assert!(stands_by((100, &b), [(100, &a)].into_iter()));
        assert!(!stands_by((100, &a), [(100, &b)].into_iter()));
        assert!(!stands_by((50, &b), [(100, &a)].into_iter()));
        assert!(!stands_by((100, &a), std::iter::empty()));
    }
}
