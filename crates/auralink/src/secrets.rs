//! The local stack's secrets: made once, kept in a file only its owner can read.
//!
//! Values are letters and digits, so they fit into URLs, SQL literals and shell lines without quoting.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use figment::Figment;
use figment::providers::{Format, Toml};
use rand::distr::{Alphanumeric, SampleString};
use serde::Deserialize;

use crate::data_dir::DataDir;

const FILE: &str = "secrets.toml";

#[derive(Clone, Deserialize)]
pub(crate) struct Secrets {
    pub(crate) postgres_password: String,
    // Files of older stacks have one password for all services instead, and get these when next started.
    #[serde(default)]
    pub(crate) dashboard_database_password: String,
    #[serde(default)]
    pub(crate) aic_database_password: String,
    pub(crate) redis_password: String,
    pub(crate) livekit_key: String,
    pub(crate) livekit_secret: String,
    pub(crate) service_secret: String,
    pub(crate) user_secret: String,
    pub(crate) demo_password: String,
}

impl Secrets {
    /// Reads the stack's secrets, making them on first use.
    pub(crate) fn load_or_create(dir: &DataDir) -> anyhow::Result<Self> {
        let path = dir.join(FILE);
        let cannot_write = || format!("cannot write {}", path.display());
        let Some(mut secrets) = Self::load(dir)? else {
            let secrets = Self::generate();
            secrets.write(&path).with_context(cannot_write)?;
            return Ok(secrets);
        };
        secrets.complete(&path).with_context(cannot_write)?;
        Ok(secrets)
    }

    /// Makes the database passwords that an older file lacks, and adds them to it.
    fn complete(&mut self, path: &Path) -> std::io::Result<()> {
        for (name, value) in [
            ("dashboard_database_password", &mut self.dashboard_database_password),
            ("aic_database_password", &mut self.aic_database_password),
        ] {
            if value.is_empty() {
                *value = random(32);
                let mut file = OpenOptions::new().append(true).open(path)?;
                writeln!(file, "{name} = \"{value}\"")?;
                file.sync_all()?;
            }
        }
        Ok(())
    }

    /// Reads the stack's secrets; `None` when this folder has never held a stack.
    pub(crate) fn load(dir: &DataDir) -> anyhow::Result<Option<Self>> {
        let path = dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            bail!("{} is open to others (mode {mode:o}); run: chmod 600 {0}", path.display());
        }
        let secrets = Figment::from(Toml::string(&text)).extract();
        secrets.map(Some).with_context(|| format!("{} is damaged", path.display()))
    }

    /// `LIVEKIT_KEYS` as the services read it.
    pub(crate) fn livekit_keys(&self) -> String {
        format!("{}: {}", self.livekit_key, self.livekit_secret)
    }

    fn generate() -> Self {
        Self {
            postgres_password: random(32),
            dashboard_database_password: random(32),
            aic_database_password: random(32),
            redis_password: random(32),
            livekit_key: format!("API{}", random(12)),
            livekit_secret: random(44),
            service_secret: random(44),
            user_secret: random(44),
            demo_password: random(14),
        }
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(
            file,
            "# Made by `auralink up`. Whoever reads this file can join every call of this stack."
        )?;
        for (name, value) in [
            ("postgres_password", &self.postgres_password),
            ("dashboard_database_password", &self.dashboard_database_password),
            ("aic_database_password", &self.aic_database_password),
            ("redis_password", &self.redis_password),
            ("livekit_key", &self.livekit_key),
            ("livekit_secret", &self.livekit_secret),
            ("service_secret", &self.service_secret),
            ("user_secret", &self.user_secret),
            ("demo_password", &self.demo_password),
        ] {
            writeln!(file, "{name} = \"{value}\"")?;
        }
        file.sync_all()
    }
}

fn random(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        dir: DataDir,
    }

    fn folder() -> (tempfile::TempDir, DataDir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = Only::parse_from(["test", "--data-dir", folder.path().to_str().unwrap()]).dir;
        (folder, dir)
    }

    #[test]
    fn kept_private_and_the_same_the_next_time() {
        let (_folder, dir) = folder();
        let first = Secrets::load_or_create(&dir).unwrap();
        let mode = fs::metadata(dir.join(FILE)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let second = Secrets::load_or_create(&dir).unwrap();
        assert_eq!(first.livekit_keys(), second.livekit_keys());
        assert_eq!(first.demo_password, second.demo_password);
        assert!(first.livekit_secret.len() >= 32 && first.livekit_secret != first.service_secret);
    }

    #[test]
    fn an_older_file_gets_a_password_for_each_service() {
        let (_folder, dir) = folder();
        let new = Secrets::load_or_create(&dir).unwrap();
        let text = fs::read_to_string(dir.join(FILE)).unwrap();
        let mut old: Vec<&str> = text.lines().filter(|line| !line.contains("_database_password")).collect();
        old.push("database_password = \"shared\"");
        fs::write(dir.join(FILE), old.join("\n") + "\n").unwrap();

        let first = Secrets::load_or_create(&dir).unwrap();
        assert_eq!(first.livekit_keys(), new.livekit_keys());
        assert!(first.dashboard_database_password.len() == 32 && first.aic_database_password.len() == 32);
        assert_ne!(first.dashboard_database_password, first.aic_database_password);
        let second = Secrets::load_or_create(&dir).unwrap();
        assert_eq!(first.dashboard_database_password, second.dashboard_database_password);
        assert_eq!(first.aic_database_password, second.aic_database_password);
    }

    #[test]
    fn a_file_others_can_read_is_refused() {
        let (_folder, dir) = folder();
        Secrets::load_or_create(&dir).unwrap();
        fs::set_permissions(dir.join(FILE), fs::Permissions::from_mode(0o644)).unwrap();
        let error = Secrets::load(&dir).err().expect("refused");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn no_stack_no_secrets() {
        let (_folder, dir) = folder();
        assert!(Secrets::load(&dir).unwrap().is_none());
    }
}
