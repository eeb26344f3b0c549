//! What the stack prints: each service's lines under its name, and the supervisor's own.

use std::env;
use std::io::{IsTerminal, stdout};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

const COLOURS: [&str; 5] = ["36", "35", "33", "32", "34"];
const WIDTH: usize = 10;

/// The left margin of one service's lines.
#[derive(Debug, Clone)]
pub(crate) struct Prefix(String);

impl Prefix {
    pub(crate) fn new(name: &str, index: usize) -> Self {
        if use_colour() {
            Self(format!("\x1b[{}m{name:<WIDTH$} |\x1b[0m", COLOURS[index % COLOURS.len()]))
        } else {
            Self(format!("{name:<WIDTH$} |"))
        }
    }

    pub(crate) fn line(&self, text: &str) {
        println!("{} {text}", self.0);
    }
}

/// Copies a child's output line by line until it ends.
pub(crate) async fn copy(prefix: Prefix, output: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        prefix.line(String::from_utf8_lossy(&line).trim_end());
    }
}

/// Something the supervisor has to say.
pub(crate) fn say(text: &str) {
    if use_colour() {
        println!("\x1b[1m{:<WIDTH$} |\x1b[0m {text}", "auralink");
    } else {
        println!("{:<WIDTH$} | {text}", "auralink");
    }
}

fn use_colour() -> bool {
    env::var_os("NO_COLOR").is_none() && stdout().is_terminal()
}
