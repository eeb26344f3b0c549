//! The codec from outside: streams, saved states, hostile bytes, two processes, two backends.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up fails")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

#[cfg(all(feature = "onnx", feature = "bundled"))]
mod backends;
#[cfg(all(feature = "onnx", feature = "bundled"))]
mod encodec;
mod hostile;
#[cfg_attr(
    not(all(feature = "onnx", feature = "bundled")),
    expect(dead_code, reason = "whole graphs are for ONNX Runtime")
)]
mod onnx;
mod processes;
mod random;
mod speech;
mod streams;
