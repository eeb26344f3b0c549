//! The speech codec's service as the dashboard sees it: settings, sessions and measurements of one user.
//!
//! The user's id always comes from a verified token; the service's row-level security does the rest. Calls go on
//! without it: media never passes through here.

mod client;
mod wire;

pub(crate) use client::Aic;
