//! Things outside the test: built programs and data that may not be there.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of the workspace.
#[must_use]
pub fn workspace_root() -> PathBuf {
    // Cargo says it to the running test. What was compiled in may be another checkout that shares the build cache.
    let own =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let is_root = |folder: &&Path| folder.join("migrations").is_dir() && folder.join("Cargo.lock").is_file();
    own.ancestors().find(is_root).expect("the test belongs to this workspace").to_owned()
}

/// A program of this workspace, built with the same profile as the running test.
///
/// # Panics
/// When it has not been built: run `cargo build` first, as `make test` does.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test is a program");
    // target/debug/deps/test-hash
    let folder = test.ancestors().nth(2).expect("tests are built into <profile>/deps");
    let path = folder.join(name);
    assert!(path.is_file(), "{} has not been built; run `cargo build --bin {name}`", path.display());
    path
}

/// A file of `AURALINK_TEST_DATA`, for tests of material too large for the repository. When absent it says
/// so by name, and the test should return.
#[must_use]
pub fn test_data(name: &str) -> Option<PathBuf> {
    let path = env::var_os("AURALINK_TEST_DATA").map(|root| PathBuf::from(root).join(name));
    let found = path.filter(|path| path.exists());
    if found.is_none() {
        let test = std::thread::current().name().unwrap_or("test").to_owned();
        #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
        {
            eprintln!("skipped: {test}: AURALINK_TEST_DATA has no {name}");
        }
    }
    found
}
