//! `auralink`: the local stack and the small jobs around it.
//!
//! Speaks to the services as any other client would (REST, Twirp, tokens); it holds no business rule.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

mod data_dir;
mod doctor;
mod migrate;
mod room;
mod secrets;
mod token;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "auralink", version, about = "Runs and operates AuraLink.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything on this machine and keep it running until Ctrl-C.
    Up(Box<up::Options>),
    /// Bring the database's schemas up to date.
    Migrate(migrate::Options),
    /// Make a LiveKit access token.
    Token(token::Options),
    /// List, create, delete and moderate rooms on a running SFU.
    Room(room::Options),
    /// Check that this machine has what AuraLink needs, and say how to get what is missing.
    Doctor(doctor::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("auralink: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Up(options) => up::run(*options).await,
            Command::Migrate(options) => migrate::run(options).await.map(|()| ExitCode::SUCCESS),
            Command::Token(options) => token::run(options).map(|()| ExitCode::SUCCESS),
            Command::Room(options) => room::run(options).await.map(|()| ExitCode::SUCCESS),
            Command::Doctor(options) => Ok(doctor::run(options).await),
        }
    });
    // Blocking reads of standard input and the like must not hold up the end.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| {
        eprintln!("auralink: {error:#}");
        ExitCode::FAILURE
    })
}
