//! Limits of the kernel and the account that calls run into.

use std::fs;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::{Check, Finding};

const FILES: u64 = 4096;
/// What the SFU asks the kernel for.
const SOCKET_BUFFER_BYTES: u64 = aura_types::MEDIA_SOCKET_BUFFER_BYTES as u64;
const DISK_BYTES: u64 = 2 << 30;
const MEMORY_BYTES: u64 = 2 << 30;

pub(super) fn check() -> Vec<Check> {
    let mut checks = vec![open_files(), disk(), memory()];
    checks.extend(["rmem_max", "wmem_max"].map(socket_buffer));
    checks
}

fn open_files() -> Check {
    let name = "open files".to_owned();
    let finding = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, _)) if soft >= FILES => Finding::Ok(soft.to_string()),
        Ok((soft, hard)) => Finding::Warn {
            what: format!("{soft}; every participant takes a few"),
            fix: format!("ulimit -n {}", hard.min(65_536)),
        },
        Err(error) => Finding::Warn { what: error.to_string(), fix: "check `ulimit -n`".to_owned() },
    };
    Check { name, finding }
}

fn socket_buffer(name: &str) -> Check {
    let text = fs::read_to_string(format!("/proc/sys/net/core/{name}")).ok();
    let value = text.and_then(|text| text.trim().parse::<u64>().ok());
    Check { name: name.to_owned(), finding: judge_socket_buffer(name, value) }
}

fn judge_socket_buffer(name: &str, value: Option<u64>) -> Finding {
    match value {
        Some(bytes) if bytes >= SOCKET_BUFFER_BYTES => Finding::Ok(format!("{bytes} bytes")),
        Some(bytes) => Finding::Warn {
            what: format!(
                "{bytes} bytes, the SFU asks for {SOCKET_BUFFER_BYTES}: bursts of media overflow it in large rooms"
            ),
            fix: format!("sysctl -w net.core.{name}={SOCKET_BUFFER_BYTES}"),
        },
        None => Finding::Ok("not known on this system".to_owned()),
    }
}

fn disk() -> Check {
    let finding = match statvfs(".") {
        Ok(disk) => {
            let free = disk.blocks_available() * disk.fragment_size();
            let text = format!("{} MiB free here", free >> 20);
            if free >= DISK_BYTES {
                Finding::Ok(text)
            } else {
                Finding::Warn { what: text, fix: "make room: 2 GiB to run, 15 GiB to build".to_owned() }
            }
        }
        Err(error) => Finding::Warn { what: error.to_string(), fix: "check `df .`".to_owned() },
    };
    Check { name: "disk".to_owned(), finding }
}

fn memory() -> Check {
    let kib = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?.to_owned();
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    let finding = match kib {
        Some(kib) if kib * 1024 < MEMORY_BYTES => Finding::Warn {
            what: format!("{} MiB", kib / 1024),
            fix: "2 GiB run the stack, 4 GiB build it".to_owned(),
        },
        Some(kib) => Finding::Ok(format!("{} MiB", kib / 1024)),
        None => Finding::Ok("not known on this system".to_owned()),
    };
    Check { name: "memory".to_owned(), finding }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_socket_buffers_come_with_the_line_that_raises_them() {
        let Finding::Warn { what, fix } = judge_socket_buffer("wmem_max", Some(212_992)) else {
            panic!("the kernel's default is too small");
        };
        assert!(what.starts_with("212992 bytes"), "{what}");
        assert_eq!(fix, "sysctl -w net.core.wmem_max=4194304");
        assert!(matches!(judge_socket_buffer("rmem_max", Some(4_194_304)), Finding::Ok(_)));
    }
}
