//! How long it takes: in the library, through the service, and by design.

use anyhow::Context;
use auralink_tests::codec_bench::{clips, delay, latency, service};
use auralink_tests::{SfuOptions, Stack};

use super::{Bench, number, onnx};

impl Bench {
    pub(crate) fn times(&mut self) -> anyhow::Result<()> {
        let frames = number("BENCH_FRAMES", 50_000);
        let clip = clips::stratum(&self.speech, "clean", 1)?.pop().context("a clip")?;
        println!("## Time for a 20 ms frame on one core, {frames} frames, ms\n");
        println!(
            "| backend | streams | part | mean | p50 | p95 | p99 | max |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
        );
        let mut models = vec![self.model.clone()];
        if let Some(onnx) = onnx()? {
            models.push(onnx);
        }
        for model in models {
            for streams in [1, 8, 32] {
                let parts = latency::library(&model, &clip.samples, streams, frames)?;
                let rows = [
                    ("encode", parts.encode),
                    ("decode", parts.decode),
                    ("score", parts.score),
                    ("all", parts.whole),
                ];
                for (part, s) in rows {
                    let backend = model.backend_name();
                    println!(
                        "| {backend} | {streams} | {part} | {:.3} | {:.3} | {:.3} | {:.3} | {:.2} |",
                        s.mean, s.p50, s.p95, s.p99, s.max
                    );
                    for (name, value) in [("mean", s.mean), ("p95", s.p95), ("p99", s.p99)] {
                        self.figure(format!("library_{backend}_{streams}_{part}_{name}_ms"), value);
                    }
                }
                self.figure(
                    format!("library_{}_{streams}_streams_per_core", model.backend_name()),
                    20.0 / parts.whole.mean,
                );
            }
        }
        println!();
        Ok(())
    }

    /// The same through gRPC, in real time.
    pub(crate) fn service_times(&mut self) -> anyhow::Result<()> {
        let seconds = number("BENCH_SECONDS", 20);
        let clip = clips::stratum(&self.speech, "clean", 1)?.pop().context("a clip")?;
        println!("## Round trip of a 20 ms packet through gRPC, streams in real time, {seconds} s, ms\n");
        println!(
            "| streams | answered | mean | p50 | p95 | p99 | max |\n| --- | --- | --- | --- | --- | --- | --- |"
        );
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let stack = runtime.block_on(Stack::start_with_codec(SfuOptions::default()))?;
        for streams in [1, 8, 32] {
            let token = stack.service_token("dashboard");
            let run = service::load(&stack.codec_url, &token, &clip.samples, streams, seconds);
            let load = runtime.block_on(run)?;
            let s = load.times;
            let share = load.answered as f64 / load.sent as f64;
            println!(
                "| {streams} | {:.0} % | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} |",
                share * 100.0,
                s.mean,
                s.p50,
                s.p95,
                s.p99,
                s.max
            );
            for (name, value) in [("mean", s.mean), ("p95", s.p95), ("p99", s.p99)] {
                self.figure(format!("service_{streams}_{name}_ms"), value);
            }
            self.figure(format!("service_{streams}_answered"), share);
        }
        println!();
        Ok(())
    }

    pub(crate) fn delay(&mut self) -> anyhow::Result<()> {
        let clip = clips::stratum(&self.speech, "clean", 1)?.pop().context("a clip")?;
        let ms = delay::algorithmic_ms(&self.model, &clip.samples)?;
        println!(
            "Algorithmic delay at 48 kHz, resamplers included: {ms:.2} ms (Opus in 20 ms packets: 26.5)\n"
        );
        self.figure("algorithmic_delay_ms", ms);
        Ok(())
    }
}
