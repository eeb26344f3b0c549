//! The HTTP edge: extractors whose refusals are problem documents, the layers around every request, and the
//! server loop.
//!
//! A service builds its router, gives each part its [`limits`], wraps the whole once in [`shell`], and hands
//! it to [`serve`].

mod client;
mod extract;
mod layers;
mod observe;
mod proxy;
mod serve;

pub use client::bearer;
pub use extract::{Json, Path, Query};
pub use layers::{Limits, limits, rate_limit, shell};
pub use proxy::{ClientAddress, ProxyError, TrustedProxies, TrustedProxy};
pub use serve::{bind, serve, serve_with};
