//! Rust and Node: installed by their own means, so checked by version instead of by package.

use std::process::Command;

use super::{Check, Finding};

pub(super) fn check() -> Vec<Check> {
    vec![
        at_least("rustc", (1, 95), "install Rust from https://rustup.rs, or run: rustup update stable"),
        at_least("cargo", (1, 95), "install Rust from https://rustup.rs, or run: rustup update stable"),
        at_least("node", (20, 19), "install Node 20.19 or newer from https://nodejs.org"),
        at_least("npm", (9, 0), "comes with Node"),
    ]
}

fn at_least(program: &str, wanted: (u32, u32), fix: &str) -> Check {
    let finding = match version(program) {
        Some((found, text)) if found >= wanted => Finding::Ok(text),
        Some((_, text)) => Finding::Missing {
            what: format!("{text} is too old, {}.{} or newer is needed", wanted.0, wanted.1),
            fix: fix.to_owned(),
        },
        None => Finding::Missing { what: "not installed".to_owned(), fix: fix.to_owned() },
    };
    Check { name: program.to_owned(), finding }
}

fn version(program: &str) -> Option<((u32, u32), String)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    Some((parse(&text)?, text))
}

/// The first `major.minor` in what a program prints about itself.
fn parse(text: &str) -> Option<(u32, u32)> {
    let start = text.find(|first: char| first.is_ascii_digit())?;
    let mut parts = text[start..].split(|split: char| !split.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_print() {
        assert_eq!(parse("rustc 1.95.0 (abc 2026-04-01)"), Some((1, 95)));
        assert_eq!(parse("v20.20.2"), Some((20, 20)));
        assert_eq!(parse("no version"), None);
    }
}
