//! Accounts, rooms, calls, shared files, and the web app that shows them.
//!
//! `api` and `ws` speak to the outside, `engine` decides, `store`, `sfu`, `bus` and `files` touch the world.
//! Postgres holds the truth; Redis and the SFU are asked, believed, and survived.

mod accounts;
mod aic;
#[expect(unused_qualifications, reason = "in code utoipa generates")]
mod api;
mod app;
mod bus;
mod calls;
pub mod config;
mod engine;
mod error;
mod files;
mod grpc;
mod housekeeping;
mod model;
mod notify;
mod removals;
mod secret;
mod server;
mod sfu;
mod site;
mod start;
mod store;
mod throttle;
mod web;
mod ws;

pub use config::Config;
pub use start::{Running, run, start};
pub use store::MIGRATOR;

use app::now;
use std::io::Write as _;
use std::process::ExitCode;

/// The OpenAPI document this binary serves.
#[must_use]
pub fn openapi() -> String {
    let (_, _, document) = api::routes();
    api::document_json(&document)
}

/// Prints [`openapi`], for the web app's build.
#[must_use]
pub fn print_openapi() -> ExitCode {
    match std::io::stdout().write_all(openapi().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
