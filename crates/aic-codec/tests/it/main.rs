//! The codec service as its callers see it: real sockets, PostgreSQL and Redis.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
