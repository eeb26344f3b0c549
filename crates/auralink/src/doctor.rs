//! `auralink doctor`: what this machine lacks, and the command that brings it.
//!
//! Reads, probes and prints; changes nothing. Ends with 1 when something needed for `--for` is missing.

mod database;
mod limits;
mod packages;
mod ports;
mod toolchain;

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use packages::Purpose;

#[derive(Args)]
pub(crate) struct Options {
    /// What the machine is wanted for; each includes the one before it.
    #[arg(long = "for", value_enum, default_value_t = Wanted::Run)]
    wanted: Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Wanted {
    /// Running the stack.
    Run,
    /// Building it.
    Build,
    /// Running every test.
    Test,
}

impl Wanted {
    fn includes(self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Run => true,
            Purpose::Build => self >= Self::Build,
            Purpose::Test => self >= Self::Test,
        }
    }
}

/// One thing looked at.
struct Check {
    name: String,
    finding: Finding,
}

enum Finding {
    Ok(String),
    /// Works, but not as well as it could.
    Warn {
        what: String,
        fix: String,
    },
    Missing {
        what: String,
        fix: String,
    },
}

pub(crate) async fn run(options: Options) -> ExitCode {
    let mut checks = packages::check(|purpose| options.wanted.includes(purpose));
    if options.wanted >= Wanted::Build {
        checks.extend(toolchain::check());
    }
    checks.extend(limits::check());
    checks.extend(ports::check());
    checks.extend(database::check().await);

    let mut missing = 0;
    for Check { name, finding } in &checks {
        match finding {
            Finding::Ok(what) => println!("ok       {name:<16} {what}"),
            Finding::Warn { what, fix } => println!("warning  {name:<16} {what}\n         -> {fix}"),
            Finding::Missing { what, fix } => {
                missing += 1;
                println!("missing  {name:<16} {what}\n         -> {fix}");
            }
        }
    }
    if let Some(command) = packages::install_command(|purpose| options.wanted.includes(purpose)) {
        println!("\nall missing packages at once:\n  {command}");
    }
    if missing == 0 {
        println!("\nnothing is missing");
        ExitCode::SUCCESS
    } else {
        println!("\n{missing} missing");
        ExitCode::FAILURE
    }
}
