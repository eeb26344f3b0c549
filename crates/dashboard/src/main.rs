//! The dashboard's process. `dashboard openapi` prints the API document; anything else runs the service.

use aura_service::Service;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("openapi") {
        return dashboard::print_openapi();
    }
    let service = Service {
        name: "dashboard",
        version: env!("CARGO_PKG_VERSION"),
        env_prefix: "AURA_DASHBOARD",
        defaults: dashboard::config::DEFAULTS,
    };
    aura_service::process::main(service, dashboard::run)
}
