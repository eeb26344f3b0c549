//! The codec as a process.

use std::process::ExitCode;

fn main() -> ExitCode {
    let service = aura_service::Service {
        name: "aic-codec",
        version: env!("CARGO_PKG_VERSION"),
        env_prefix: "AURA_AIC",
        defaults: aic_codec::server::DEFAULT_CONFIG,
    };
    aura_service::process::main(service, aic_codec::server::run)
}
