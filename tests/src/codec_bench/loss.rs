//! Which of a thousand packets are lost, the same every time: `true` is lost.

use super::clips::Random;

/// Every packet on its own.
pub fn random(percent: u8) -> Vec<bool> {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    (0..1_000).map(|_| random.share() < f64::from(percent) / 100.0).collect()
}

/// Bursts of three on average (Gilbert–Elliott with a state in which everything is lost).
pub fn bursts(percent: u8) -> Vec<bool> {
    let share = f64::from(percent) / 100.0;
    let (stay, enter) = (2.0 / 3.0, share / (1.0 - share) / 3.0);
    let (mut random, mut bad) = (Random(0x9E37_79B9_7F4A_7C15), false);
    (0..1_000)
        .map(|_| {
            bad = random.share() < if bad { stay } else { enter };
            bad
        })
        .collect()
}
