//! The architecture, as far as a program can check it: which crate may depend on which, what an engine may
//! know, and how files look. Each failure lists every offender, so that one run shows the whole bill.
//!
//! It reads `cargo metadata` and the sources; nothing is built or started.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate of ours may link. What is not listed is forbidden.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("aura-types", &[]),
    ("aura-local", &[]),
    ("aura-media", &["aura-types"]),
    ("aura-proto", &["aura-types"]),
    ("aura-service", &["aura-types"]),
    ("aura-store", &["aura-types"]),
    ("aura-room", &["aura-types", "aura-media", CODEC]),
    // A library; what its service needs is optional (below).
    (CODEC, &["aura-types", "aura-media", "aura-proto", "aura-service", "aura-store"]),
    ("aic-wasm", &[CODEC]),
    ("aura-testkit", &["aura-types", "aura-local", "aura-store"]),
    // The command line starts services as processes and never links one.
    (
        "auralink",
        &["aura-types", "aura-local", "aura-media", "aura-proto", "aura-service", "aura-store", "aura-room"],
    ),
];

/// The speech codec, which others link as a plain library: with named features only, and never its service.
const CODEC: &str = "aic-codec";
const CODEC_SERVICE: &str = "server";

/// Services link platform crates and never each other: they meet through aura-proto, events and HTTP.
const SERVICES: &[&str] = &["webrtc-sfu", "dashboard"];
const PLATFORM: &[&str] =
    &["aura-types", "aura-media", "aura-proto", "aura-service", "aura-store", "aura-room", CODEC];

/// For tests alone.
const TEST_ONLY: &[&str] = &["aura-testkit", "auralink-tests"];

/// What pure code must not mention: a runtime, a store, a transport, a clock, a socket, a file, randomness.
const IMPURE: &[&str] = &[
    "tokio",
    "sqlx",
    "tonic",
    "axum",
    "hyper",
    "reqwest",
    "redis",
    "deadpool_redis",
    "aura_store",
    "aura_service",
    "aura_proto",
    "Clock",
    "SystemClock",
    "Instant::now",
    "SystemTime",
    "OffsetDateTime::now_utc",
    ".elapsed()",
    ".await",
    "std::fs",
    "std::thread",
    "std::process",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "rand::rng",
    "rand::random",
    "getrandom",
];

/// Engines that may use generated messages as their vocabulary: LiveKit's own (docs/adr/0001).
const SPEAK_LIVEKIT: &[&str] = &["webrtc-sfu", "aura-room"];

const MAX_LINES: usize = 500;
const MAX_MAIN_LINES: usize = 40;
/// How the header of a longer file gives its reason.
const EXCUSE: &str = "Long because";
const SHAPELESS_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager", "misc"];

#[test]
fn dependencies_point_one_way() {
    let mut faults = String::new();
    for package in packages() {
        let may: BTreeSet<&str> = match MAY_DEPEND_ON.iter().find(|(name, _)| *name == package.name) {
            Some((_, may)) => may.iter().copied().collect(),
            None if SERVICES.contains(&package.name.as_str()) => PLATFORM.iter().copied().collect(),
            None if TEST_ONLY.contains(&package.name.as_str()) => continue,
            None => {
                let _ = writeln!(faults, "{}: say in this file what it may depend on", package.name);
                continue;
            }
        };
        for dependency in &package.linked {
            if !may.contains(dependency.as_str()) {
                let _ = writeln!(faults, "{} must not depend on {dependency}", package.name);
            }
        }
        for dependency in &package.for_tests {
            let is_service = SERVICES.contains(&dependency.as_str());
            if is_service || dependency == "auralink-tests" {
                let _ = writeln!(faults, "{}'s tests must not link {dependency}", package.name);
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn the_codec_is_linked_without_its_service() {
    let mut faults = String::new();
    for package in packages() {
        for dependency in &package.dependencies {
            let name = dependency["name"].as_str().unwrap_or_default();
            let features = dependency["features"].as_array().into_iter().flatten();
            let whole = dependency["uses_default_features"] != false
                || features.into_iter().any(|feature| *feature == CODEC_SERVICE);
            if name == CODEC && whole && !TEST_ONLY.contains(&package.name.as_str()) {
                let _ = writeln!(faults, "{} links {CODEC} with its service", package.name);
            }
            let of_service = ["aura-proto", "aura-service", "aura-store"].contains(&name);
            if package.name == CODEC && of_service && dependency["optional"] != true {
                let _ = writeln!(faults, "{CODEC} must not need {name} without its service");
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    let without: Vec<_> = packages()
        .into_iter()
        .filter(|package| {
            let manifest = read(&package.folder.join("Cargo.toml"));
            !manifest.replace(char::is_whitespace, "").contains("[lints]workspace=true")
        })
        .map(|package| package.name)
        .collect();
    assert!(without.is_empty(), "without `[lints] workspace = true`: {without:?}");
}

#[test]
fn engines_are_pure() {
    let mut faults = String::new();
    let mut seen = 0;
    for package in packages() {
        let source = package.folder.join("src");
        for path in rust_files(&source) {
            let inside = path.strip_prefix(&source).expect("found below it");
            let is_engine = inside.components().any(|part| part.as_os_str() == "engine")
                || inside.file_name().is_some_and(|name| name == "engine.rs");
            // The whole of aura-media is arithmetic.
            if !(is_engine || package.name == "aura-media") || inside.ends_with("tests.rs") {
                continue;
            }
            seen += 1;
            let code = code_of(&read(&path));
            for (number, line) in code.lines().enumerate() {
                let mut offences: Vec<_> =
                    IMPURE.iter().filter(|word| mentions(line, word)).copied().collect();
                if mentions(line, "prost") && !SPEAK_LIVEKIT.contains(&package.name.as_str()) {
                    offences.push("prost");
                }
                for word in offences {
                    let _ = writeln!(faults, "{}:{}: {word}", path.display(), number + 1);
                }
            }
        }
    }
    assert!(seen > 0, "no engine was found: has the layout changed?");
    assert!(faults.is_empty(), "engines take `now` and values and return values, but:\n{faults}");
}

#[test]
fn files_are_short_or_say_why_not() {
    let mut faults = String::new();
    for path in sources() {
        let text = read(&path);
        let lines = match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => without_test_block(&text).lines().count(),
            _ => text.lines().count(),
        };
        let mut services = SERVICES.iter().chain([&CODEC]);
        let is_main = services.any(|service| path.ends_with(format!("{service}/src/main.rs")));
        let limit = if is_main { MAX_MAIN_LINES } else { MAX_LINES };
        let excused = text.lines().take(12).any(|line| line.contains(EXCUSE));
        if lines > limit && !excused {
            let _ = writeln!(faults, "{}: {lines} lines, {limit} allowed", path.display());
        }
    }
    assert!(faults.is_empty(), "split them, or give a reason in the header (\"{EXCUSE} …\"):\n{faults}");
}

#[test]
fn modules_say_what_they_are_for() {
    let mut faults = String::new();
    for path in sources().into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "rs")) {
        let file = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if file == "mod" {
            let _ = writeln!(faults, "{}: `foo.rs` beside `foo/`, not `foo/mod.rs`", path.display());
        }
        if SHAPELESS_NAMES.contains(&file) {
            let _ = writeln!(faults, "{}: name it after its job", path.display());
        }
        if !read(&path).starts_with("//!") {
            let _ = writeln!(faults, "{}: does not open with its purpose (`//!`)", path.display());
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

struct Package {
    name: String,
    folder: PathBuf,
    /// Crates of ours it links, to run or to build.
    linked: Vec<String>,
    /// Crates of ours its tests link.
    for_tests: Vec<String>,
    /// As cargo lists them.
    dependencies: Vec<Value>,
}

fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs: it is running this test");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a workspace has packages");
    let ours: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let packages: Vec<_> = packages
        .iter()
        .map(|package| {
            let mut by_kind: BTreeMap<bool, Vec<String>> = BTreeMap::new();
            for dependency in package["dependencies"].as_array().into_iter().flatten() {
                let name = dependency["name"].as_str().unwrap_or_default();
                if ours.contains(name) {
                    by_kind.entry(dependency["kind"] == "dev").or_default().push(name.to_owned());
                }
            }
            let manifest = Path::new(package["manifest_path"].as_str().expect("a package has a manifest"));
            Package {
                name: package["name"].as_str().expect("a package has a name").to_owned(),
                folder: manifest.parent().expect("a manifest lies in a folder").to_owned(),
                linked: by_kind.remove(&false).unwrap_or_default(),
                for_tests: by_kind.remove(&true).unwrap_or_default(),
                dependencies: package["dependencies"].as_array().cloned().unwrap_or_default(),
            }
        })
        .collect();
    assert!(packages.len() > 5, "the workspace has more crates than {}", packages.len());
    packages
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Everything a person wrote as code: Rust, and the web app's TypeScript.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["crates", "tests"] {
        walk(&root().join(folder), &["rs", "ts", "tsx"], &mut found);
    }
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if folder.exists() {
        walk(folder, &["rs"], &mut found);
    }
    found
}

fn walk(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    const GENERATED: &[&str] = &["node_modules", "dist", "target", "generated", "artifacts"];
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if !GENERATED.iter().any(|skip| name == *skip) {
                walk(&path, extensions, found);
            }
        } else if path.extension().and_then(|ext| ext.to_str()).is_some_and(|ext| extensions.contains(&ext))
            // Type declarations are written by a program.
            && !path.to_string_lossy().ends_with(".d.ts")
        {
            found.push(path);
        }
    }
}

/// A file's code: neither its comments nor the tests at its end.
fn code_of(text: &str) -> String {
    let lines = without_test_block(text).lines();
    lines.map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn without_test_block(text: &str) -> &str {
    let marker = "\n#[cfg(test)]\n";
    let mut blocks = text.match_indices(marker).filter(|(at, _)| {
        let rest = &text[at + marker.len()..];
        rest.lines().find(|line| !line.starts_with("#[")).is_some_and(|line| line.starts_with("mod tests {"))
    });
    blocks.next().map_or(text, |(at, _)| &text[..at])
}

/// Whether `line` holds `word` as a whole word (words with punctuation of their own: anywhere).
fn mentions(line: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let starts = word.starts_with(is_word);
        let ends = word.ends_with(is_word);
        !(starts && before.is_some_and(is_word) || ends && after.is_some_and(is_word))
    })
}

#[test]
fn words_are_told_from_parts_of_words() {
    assert!(mentions("use tokio::time;", "tokio"));
    assert!(mentions("let now = Instant::now();", "Instant::now"));
    assert!(mentions("x.send().await?", ".await"));
    assert!(!mentions("let clock_rate = 90_000;", "Clock"));
    assert!(!mentions("fn redistribute()", "redis"));
    assert_eq!(code_of("a // tokio\n\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n tokio\n}"), "a ");
    assert_eq!(code_of("a\n#[cfg(test)]\nmod tests;\nb"), "a\n#[cfg(test)]\nmod tests;\nb");
}
