//! Peer frames as bytes, certificates and invitations.
