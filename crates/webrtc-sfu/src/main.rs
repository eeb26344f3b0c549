//! The SFU as a process.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let service = aura_service::Service {
        name: "webrtc-sfu",
        version: env!("CARGO_PKG_VERSION"),
        env_prefix: "AURA_SFU",
        defaults: webrtc_sfu::DEFAULT_CONFIG,
    };
    aura_service::process::main(service, webrtc_sfu::run)
}
