//! Installed programs, against the list `make setup` installs from (deploy/packages.debian).

use std::path::Path;

use aura_local::find_program;

use super::{Check, Finding};

const LIST: &str = include_str!("../../../../deploy/packages.debian");

/// What a program is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Run,
    Build,
    Test,
}

struct Entry {
    purpose: Purpose,
    program: &'static str,
    package: &'static str,
}

pub(super) fn check(is_wanted: impl Fn(Purpose) -> bool) -> Vec<Check> {
    entries()
        .filter(|entry| is_wanted(entry.purpose))
        .map(|entry| {
            let finding = match find(entry.program) {
                Some(place) => Finding::Ok(place),
                None => Finding::Missing {
                    what: "not installed".to_owned(),
                    fix: format!("apt-get install {}", entry.package),
                },
            };
            Check { name: entry.program.to_owned(), finding }
        })
        .collect()
}

/// One command for everything missing.
pub(super) fn install_command(is_wanted: impl Fn(Purpose) -> bool) -> Option<String> {
    let missing: Vec<&str> = entries()
        .filter(|entry| is_wanted(entry.purpose) && find(entry.program).is_none())
        .map(|entry| entry.package)
        .collect();
    let sudo = if nix::unistd::Uid::effective().is_root() { "" } else { "sudo " };
    (!missing.is_empty()).then(|| format!("{sudo}apt-get install -y {}", missing.join(" ")))
}

fn find(program: &str) -> Option<String> {
    // A module of Python's, not a program: present when its bundled pip is.
    if program == "python3-venv" {
        let has = |minor: u32| Path::new(&format!("/usr/lib/python3.{minor}/ensurepip/__init__.py")).exists();
        return (9..30).rev().find(|minor| has(*minor)).map(|minor| format!("python 3.{minor}"));
    }
    find_program(program).map(|path| path.display().to_string())
}

fn entries() -> impl Iterator<Item = Entry> {
    LIST.lines().filter_map(parse)
}

fn parse(line: &'static str) -> Option<Entry> {
    let mut words = line.split_whitespace();
    let purpose = match words.next()? {
        "run" => Purpose::Run,
        "build" => Purpose::Build,
        "test" => Purpose::Test,
        _ => return None,
    };
    Some(Entry { purpose, program: words.next()?, package: words.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_understood() {
        let lines = LIST.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).count();
        assert_eq!(entries().count(), lines);
        assert!(entries().any(|entry| entry.purpose == Purpose::Run && entry.package == "postgresql"));
    }
}
