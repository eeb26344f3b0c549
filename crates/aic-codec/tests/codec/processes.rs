//! The same bits everywhere: two processes of this machine, and the figures that another machine once gave.

use std::fs;
use std::path::Path;
use std::process::Command;

use aic_codec::{Arrived, FRAME, Model};

use crate::random::{self, Random, sha256};

/// Where a child of this test writes what it coded.
const OUT: &str = "AIC_TEST_CODES";

/// Coloured noise that comes and goes, of additions and products only: the same on every machine.
fn noise(frames: usize) -> Vec<[f32; FRAME]> {
    let mut random = Random(99);
    let (mut low, mut level) = (0.0_f32, 0.0_f32);
    (0..frames)
        .map(|_| {
            level = 0.7 * level + 0.1 * (1.0 + random.float());
            std::array::from_fn(|_| {
                low = 0.9 * low + 0.3 * random.float();
                level * low
            })
        })
        .collect()
}

/// The codes of a stream and the samples they become, a few frames lost, as bytes.
fn coded(model: &Model, frames: &[[f32; FRAME]]) -> Vec<u8> {
    let (mut encoder, mut decoder) = (model.encoder(), model.decoder());
    let mut out = [0.0; FRAME];
    let mut bytes = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        let codes = encoder.encode(frame).unwrap();
        let arrived = if n % 9 == 7 { Arrived::Lost } else { Arrived::Coded { codes: &codes, stages: 12 } };
        decoder.decode(arrived, &mut out).unwrap();
        bytes.extend(codes.0.iter().flat_map(|code| code.to_le_bytes()));
        bytes.extend(out.iter().flat_map(|sample| sample.to_bits().to_le_bytes()));
    }
    bytes
}

#[test]
fn the_bits_are_those_of_every_other_machine() {
    let model = random::model(64, 96, 1);
    let bytes = coded(&model, &noise(60));
    // From x86-64 with AVX-512. Whoever changes the arithmetic on purpose changes this line, and with it the codes that
    // old and new builds make of the same samples.
    assert_eq!(sha256(&bytes), "9f2b21337073e1b8591e850d28bae4758990c57da68d61753a4c2d27f3b1d1ba");
}

/// Not a test by itself: what a child process runs.
#[test]
fn a_child_codes() {
    let Some(out) = std::env::var_os(OUT) else { return };
    let frames = noise(100);
    let mut bytes = coded(&random::model(32, 64, 2), &frames);
    #[cfg(feature = "bundled")]
    bytes.extend(coded(&Model::bundled_on(aic_codec::Backend::Native).unwrap(), &frames));
    #[cfg(all(feature = "onnx", feature = "bundled"))]
    if let Some(library) = crate::backends::library("ONNX Runtime in two_processes_agree_bit_for_bit") {
        let folder = Path::new(crate::backends::MODEL);
        let onnx = Model::load_onnx(folder, &crate::backends::settings(&library)).unwrap();
        bytes.extend(coded(&onnx, &frames));
    }
    fs::write(Path::new(&out), bytes).unwrap();
}

#[test]
fn two_processes_agree_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let coded: Vec<_> = ["one", "two"]
        .into_iter()
        .map(|name| {
            let out = folder.path().join(name);
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "processes::a_child_codes"])
                .env(OUT, &out)
                .output()
                .unwrap();
            assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
            fs::read(out).unwrap()
        })
        .collect();
    assert!(coded[0].len() >= 100 * (24 + 4 * FRAME));
    assert!(coded[0] == coded[1], "the processes differ");
}
