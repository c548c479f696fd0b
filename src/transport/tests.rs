//! The whole room over real sockets on loopback.
