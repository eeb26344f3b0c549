//! How much it sends: a packet, and a minute of a call.

use aic_codec::Rate;
use aic_codec::control::{Mode, Settings};
use anyhow::ensure;
use auralink_tests::codec_bench::judge::Mean;
use auralink_tests::codec_bench::{calls, wire};
use auralink_tests::speech;

use super::Bench;

/// Readers of LibriSpeech test-other, none of them in the training data.
const READERS: [&str; 5] = ["2414", "3080", "3331", "367", "533"];

impl Bench {
    /// What the controller makes of readers nobody trained on, a minute each.
    pub(crate) fn calls(&mut self) -> anyhow::Result<()> {
        println!(
            "## A minute of reading, sent as a call is, by the controller (n = {} readers)\n",
            READERS.len()
        );
        println!(
            "| mode | payload kbit/s | wire kbit/s | payload saved | wire saved | silent | in Opus | quality_score |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
        );
        let speakers: Vec<Vec<f32>> = READERS
            .iter()
            .filter_map(|number| speech::reader(number, 60).transpose())
            .collect::<Result<_, _>>()?;
        ensure!(speakers.len() == READERS.len(), "librispeech-test-other is not whole");
        for (name, mode, dtx) in [
            ("conservative", Mode::Conservative, true),
            ("adaptive", Mode::Adaptive, true),
            ("adaptive, silence sent", Mode::Adaptive, false),
            ("aggressive", Mode::Aggressive, true),
        ] {
            let settings = Settings { mode, dtx, ..Settings::default() };
            let calls: Vec<calls::Call> = speakers
                .iter()
                .map(|samples| calls::call(&self.model, samples, settings))
                .collect::<Result<_, _>>()?;
            let mean = |of: fn(&calls::Call) -> f64| Mean::of(calls.iter().map(of));
            let (payload, wire) = (mean(|call| call.kbps.0), mean(|call| call.kbps.1));
            let (silent, fallback) = (mean(|call| call.silent), mean(|call| call.fallback));
            let score = mean(|call| call.score);
            let saved = wire::saved((payload.mean, wire.mean));
            println!(
                "| {name} | {:.2} ± {:.2} | {:.1} ± {:.1} | {:.1} % | {:.1} % | {:.0} % | {:.1} ± {:.1} % | {:.3} ± {:.3} |",
                payload.mean,
                payload.error,
                wire.mean,
                wire.error,
                saved.0 * 100.0,
                saved.1 * 100.0,
                silent.mean * 100.0,
                fallback.mean * 100.0,
                fallback.error * 100.0,
                score.mean,
                score.error,
            );
            let name = name.replace(", ", "_").replace(' ', "_");
            for (figure, value) in [
                ("payload_saved", saved.0),
                ("wire_saved", saved.1),
                ("silent", silent.mean),
                ("fallback", fallback.mean),
                ("quality_score", score.mean),
            ] {
                self.figure(format!("call_{name}_{figure}"), value);
            }
        }
        println!();
        Ok(())
    }

    pub(crate) fn bytes(&mut self) {
        println!(
            "## Bytes against Opus at 32 kbit/s in 20 ms packets ({} B of headers a packet)\n",
            wire::OVERHEAD_BYTES
        );
        println!(
            "| packets | payload B | payload kbit/s | wire kbit/s | payload saved | wire saved |\n| --- | --- | --- | --- | --- | --- |"
        );
        for (name, rate, frames, depth) in [
            ("adaptive_6_20ms", Rate::High, 1, 0),
            ("adaptive_6_40ms", Rate::High, 2, 0),
            ("adaptive_3_20ms", Rate::Mid, 1, 0),
            ("adaptive_6_20ms_depth_1", Rate::High, 1, 1),
            ("aggressive_6_100ms", Rate::High, 5, 0),
            ("aggressive_3_60ms", Rate::Mid, 3, 0),
            ("aggressive_1.5_60ms", Rate::Low, 3, 0),
        ] {
            let codes = vec![aic_codec::Codes([0; aic_codec::STAGES]); 8];
            let Ok(payload) = aic_codec::payload::build(rate, &codes[..frames], &codes, depth) else {
                continue;
            };
            let rates = wire::rates(payload.len(), frames * 20);
            let saved = wire::saved(rates);
            println!(
                "| {name} | {} | {:.2} | {:.1} | {:.1} % | {:.1} % |",
                payload.len(),
                rates.0,
                rates.1,
                saved.0 * 100.0,
                saved.1 * 100.0
            );
            let name = name.replace('.', "_");
            self.figure(format!("bytes_{name}_payload_saved"), saved.0);
            self.figure(format!("bytes_{name}_wire_saved"), saved.1);
        }
        println!();
    }
}
