//! Sessions with peers: WireGuard over UDP and over onion streams.
