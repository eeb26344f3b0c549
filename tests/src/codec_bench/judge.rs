//! The judges: `python -m aic score`, one CSV row a clip and condition, and the averages of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// A mean with its standard error and the number of clips.
#[derive(Clone, Copy, Default)]
pub struct Mean {
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard error of the mean; 0 for one clip.
    pub error: f64,
    /// Clips.
    pub n: usize,
}

impl Mean {
    /// Of some values; what is not a number is left out.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        let n = values.len();
        if n == 0 {
            return Self { mean: f64::NAN, error: f64::NAN, n };
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let spread = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let error = if n > 1 { (spread / (n - 1) as f64 / n as f64).sqrt() } else { 0.0 };
        Self { mean, error, n }
    }
}

/// Condition → column → mean.
pub type Scores = BTreeMap<String, BTreeMap<String, Mean>>;

/// Scores every WAV under `folder` (`reference/` and one folder a condition) by `columns`; rows go to `table`.
///
/// # Errors
/// When the judges are not installed (`make setup-judges`) or fail.
pub fn score(folder: &Path, table: &Path, columns: &str) -> anyhow::Result<Scores> {
    let venv = std::env::var_os("AIC_VENV")
        .context("AIC_VENV names the judges' environment: make bench-aic sets it")?;
    let training = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/aic-codec/training");
    let cores = std::thread::available_parallelism().map_or(1, usize::from).to_string();
    let status = Command::new(PathBuf::from(venv).join("bin/python"))
        .current_dir(training)
        .args(["-m", "aic", "--workers", &cores, "score", "--folder"])
        .arg(folder)
        .arg("--table")
        .arg(table)
        .args(["--columns", columns])
        .stdout(std::process::Stdio::null())
        .status()
        .context("python -m aic score")?;
    ensure!(status.success(), "the judges failed");
    read(table)
}

/// Reads a table of scores.
///
/// # Errors
/// When it is not there.
pub fn read(table: &Path) -> anyhow::Result<Scores> {
    let text = std::fs::read_to_string(table).with_context(|| table.display().to_string())?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().context("a header")?.split(',').collect();
    let mut values: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        for (column, cell) in header.iter().zip(&cells).skip(2) {
            let key = (cells[0].to_owned(), (*column).to_owned());
            values.entry(key).or_default().push(cell.parse().unwrap_or(f64::NAN));
        }
    }
    let mut scores = Scores::new();
    for ((condition, column), values) in values {
        scores.entry(condition).or_default().insert(column, Mean::of(values));
    }
    Ok(scores)
}

/// Where a rising ladder of (kbit/s, score) reaches `score`, linearly between the steps around it.
///
/// # Errors
/// On which side of the ladder the score lies, when it is not on it.
pub fn crossing(ladder: &[(f64, f64)], score: f64) -> Result<f64, &'static str> {
    let Some(at) = ladder.iter().position(|(_, theirs)| *theirs >= score) else {
        return Err("above the ladder");
    };
    if at == 0 {
        return Err("below the ladder");
    }
    let ((low, under), (high, over)) = (ladder[at - 1], ladder[at]);
    Ok(low + (high - low) * (score - under) / (over - under))
}
