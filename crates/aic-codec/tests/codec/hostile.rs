//! Bytes that no writer of ours made: saved states and model files, damaged one way or another. An error each time,
//! naming the file, and nothing changed.

use aic_codec::{Arrived, Backend, CodecError, Codes, FRAME, Model, STAGES, StateError};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::onnx::{self, Tensor};
use crate::random::{self, Files, Random, voice};

fn refusal(result: Result<(), CodecError>) -> StateError {
    match result {
        Err(CodecError::State(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// With the checksum a forger would compute.
fn signed(mut state: Vec<u8>) -> Vec<u8> {
    let at = state.len() - 8;
    let sum = Sha256::digest(&state[..at]);
    state[at..].copy_from_slice(&sum[..8]);
    state
}

#[test]
fn a_damaged_or_foreign_state_is_refused_and_changes_nothing() {
    let model = random::model(32, 32, 1);
    let (mut encoder, mut decoder) = (model.encoder(), model.decoder());
    for frame in voice(7, 2) {
        let codes = encoder.encode(&frame).unwrap();
        decoder.decode(Arrived::Coded { codes: &codes, stages: 12 }, &mut [0.0; FRAME]).unwrap();
    }
    let (good, other) = (encoder.state(), decoder.state());
    assert_eq!(refusal(encoder.restore(&other)), StateError::Side);
    assert_eq!(refusal(decoder.restore(&good)), StateError::Side);
    assert_eq!(refusal(encoder.restore(&random::model(32, 32, 3).encoder().state())), StateError::Model);
    assert_eq!(refusal(encoder.restore(b"RIFF________WAVEfmt _____________________")), StateError::Format);
    let changed = |at: usize, byte: u8| {
        let mut state = good.clone();
        state[at] = byte;
        state
    };
    assert_eq!(refusal(encoder.restore(&changed(4, 2))), StateError::Version(2));
    for at in 24..good.len() {
        if at % 97 == 0 || at > good.len() - 9 {
            assert_eq!(refusal(encoder.restore(&changed(at, good[at] ^ 1))), StateError::Checksum);
        }
    }
    for len in 0..good.len() {
        if len % 131 == 0 || len < 40 {
            assert_eq!(refusal(encoder.restore(&good[..len])), StateError::Length);
        }
    }
    assert_eq!(refusal(encoder.restore(&[good.as_slice(), &[0]].concat())), StateError::Length);
    // A count of floats that is not there.
    assert_eq!(refusal(encoder.restore(&signed(changed(23, 0xff)))), StateError::Length);
    for value in [f32::NAN, f32::INFINITY, -f32::MAX, 1e7] {
        let mut state = good.clone();
        state[1000..1004].copy_from_slice(&value.to_le_bytes());
        assert_eq!(refusal(encoder.restore(&signed(state))), StateError::Values);
    }
    let mut state = other.clone();
    state[16..20].copy_from_slice(&1e9_f32.to_le_bytes());
    assert_eq!(refusal(decoder.restore(&signed(state))), StateError::Values);
    assert_eq!((encoder.state(), decoder.state()), (good, other));
}

#[test]
fn the_worst_state_that_is_accepted_still_gives_samples() {
    let model = random::model(32, 64, 4);
    let mut random = Random(5);
    let (mut encoder, mut decoder) = (model.encoder(), model.decoder());
    let mut forge = |mut state: Vec<u8>| {
        let end = state.len() - 8;
        for value in state[24..end].as_chunks_mut::<4>().0 {
            *value = if random.coin() { 1e6_f32 } else { -1e6 }.to_le_bytes();
        }
        signed(state)
    };
    encoder.restore(&forge(encoder.state())).unwrap();
    decoder.restore(&forge(decoder.state())).unwrap();
    let mut out = [0.0; FRAME];
    for frame in voice(40, 6) {
        let codes = encoder.encode(&frame).unwrap();
        decoder.decode(Arrived::Coded { codes: &codes, stages: 12 }, &mut out).unwrap();
        assert!(out.iter().all(|sample| sample.abs() <= 1.0));
    }
}

fn reason(files: &Files, expected: &str) -> String {
    match files.open() {
        Err(CodecError::Model { file, reason }) => {
            assert_eq!(file, expected, "{reason}");
            reason
        }
        other => panic!("{expected}: {other:?}"),
    }
}

#[test]
fn files_that_are_not_the_manifests_are_refused() {
    let good = random::files(32, 32, 7);
    let mut files = good.clone();
    files.encoder[5000] ^= 1;
    assert!(reason(&files, "encoder.onnx").contains("SHA-256"));
    let mut files = good.clone();
    files.decoder.pop();
    assert!(reason(&files, "decoder.onnx").contains("SHA-256"));
    let mut files = good.clone();
    files.codebooks[0] ^= 1;
    assert!(reason(&files, "codebooks.f16").contains("SHA-256"));
    let mut files = good.clone();
    files.codebooks.truncate(1000);
    files.sign(32, 32);
    assert!(reason(&files, "codebooks.f16").contains("1024"));
    let mut files = good.clone();
    std::mem::swap(&mut files.encoder, &mut files.decoder);
    files.sign(32, 32);
    reason(&files, "encoder.onnx");
    // Right files, wrong widths.
    let mut files = good;
    files.sign(64, 32);
    assert!(reason(&files, "encoder.onnx").contains("shape"));
}

#[test]
fn impossible_manifests_are_refused() {
    let good = random::files(32, 32, 8);
    let text = String::from_utf8(good.manifest.clone()).unwrap();
    for (from, to, why) in [
        ("\"format\":1", "\"format\":2", "format"),
        ("\"hop_width\":32", "\"hop_width\":33", "width"),
        ("\"hop_width\":32", "\"hop_width\":0", "width"),
        ("\"hop_width\":32", "\"hop_width\":1048576", "width"),
        ("\"frame_width\":32", "\"frame_width\":64", "state sizes"),
        ("\"encoder_state\":", "\"encoder_state\":9", "state sizes"),
        ("\"id\":\"random-1\"", "\"id\":\"\"", "id"),
        ("\"id\":\"random-1\"", "\"id\":\"../../etc\"", "id"),
        ("\"hop_width\":32", "\"hop_width\":-1", "invalid"),
        ("{", "[", ""),
    ] {
        assert!(text.contains(from));
        let manifest = text.replacen(from, to, 1).into_bytes();
        let found = reason(&Files { manifest, ..good.clone() }, "manifest.json");
        assert!(found.contains(why), "{found}");
    }
    let manifest = text.replace("encoder.onnx", "encoder.tflite").into_bytes();
    assert!(reason(&Files { manifest, ..good.clone() }, "encoder.onnx").contains("not named"));
    let manifest = [text.into_bytes(), vec![b' '; 70_000]].concat();
    assert!(reason(&Files { manifest, ..good }, "manifest.json").contains("large"));
}

/// To one tensor.
type Change = fn(&mut Tensor);

/// Signed like ours, but with other content.
#[test]
fn hostile_networks_are_refused() {
    let good = random::files(32, 32, 9);
    let with = |change: &dyn Fn(&mut Vec<Tensor>)| {
        let mut model = onnx::Model::decode(good.encoder.as_slice()).unwrap();
        change(&mut model.graph.as_mut().unwrap().initializer);
        let mut files = Files { encoder: model.encode_to_vec(), ..good.clone() };
        files.sign(32, 32);
        files
    };
    let changes: [(&str, &str, Change); 10] = [
        ("missing", "hops.1.up.weight.q", |tensor| tensor.name.push('x')),
        ("shape", "hops.1.up.weight.q", |tensor| tensor.dims = vec![64, 32]),
        ("shape", "hops.1.up.weight.q", |tensor| tensor.dims = vec![i64::MAX, i64::MAX, 4]),
        ("shape", "hops.1.up.weight.q", |tensor| tensor.dims = vec![-32, -64]),
        ("shape", "hops.1.up.weight.q", |tensor| tensor.dims = vec![1; 100_000]),
        ("values", "hops.1.up.weight.q", |tensor| tensor.raw_data.truncate(5)),
        ("type", "hops.1.up.weight.q", |tensor| tensor.data_type = 11),
        ("cut", "out.bias", |tensor| tensor.raw_data.truncate(5)),
        ("values", "out.bias", |tensor| tensor.raw_data.clear()),
        ("finite", "mdct", |tensor| tensor.raw_data[4..8].copy_from_slice(&f32::NAN.to_le_bytes())),
    ];
    for (why, name, change) in changes {
        let files = with(&|tensors| change(tensors.iter_mut().find(|tensor| tensor.name == name).unwrap()));
        let found = reason(&files, "encoder.onnx");
        assert!(found.contains(why) && found.len() < 200, "{why}: {found}");
    }
    assert!(with(&|tensors| tensors.reverse()).open().is_ok(), "the order is free");
    for garbage in [Vec::new(), vec![0xff; 3000], b"<html>not found</html>".to_vec(), vec![0x3a; 100_000]] {
        let mut files = Files { encoder: garbage, ..good.clone() };
        files.sign(32, 32);
        reason(&files, "encoder.onnx");
    }
}

#[test]
fn cut_and_flipped_networks_never_panic() {
    let good = random::files(32, 32, 10);
    let mut random = Random(11);
    for _ in 0..60 {
        let mut files = good.clone();
        if random.coin() {
            let len = random.bits() as usize % files.decoder.len();
            files.decoder.truncate(len);
        } else {
            for _ in 0..20 {
                let at = random.bits() as usize % files.decoder.len();
                files.decoder[at] = random.bits() as u8;
            }
        }
        files.sign(32, 32);
        // Flipped weights may make a model; then it runs.
        if let Ok(model) = files.open() {
            let mut out = [0.0; FRAME];
            let codes = Codes([7; STAGES]);
            model.decoder().decode(Arrived::Coded { codes: &codes, stages: 12 }, &mut out).unwrap();
            assert!(out.iter().all(|sample| sample.abs() <= 1.0));
        }
    }
}

#[test]
fn a_folder_is_read_with_limits() {
    let folder = tempfile::tempdir().unwrap();
    let files = random::files(32, 32, 12);
    let refused = |file: &str| match Model::load(folder.path(), Backend::Native) {
        Err(CodecError::Model { file: found, .. }) => assert_eq!(found, file),
        other => panic!("{other:?}"),
    };
    refused("manifest.json");
    std::fs::write(folder.path().join("manifest.json"), &files.manifest).unwrap();
    std::fs::write(folder.path().join("encoder.onnx"), &files.encoder).unwrap();
    refused("decoder.onnx");
    std::fs::write(folder.path().join("codebooks.f16"), &files.codebooks).unwrap();
    // Sparse, larger than any model.
    let file = std::fs::File::create(folder.path().join("decoder.onnx")).unwrap();
    file.set_len(1 << 40).unwrap();
    refused("decoder.onnx");
    std::fs::write(folder.path().join("decoder.onnx"), &files.decoder).unwrap();
    let loaded = Model::load(folder.path(), Backend::Native).unwrap();
    assert_eq!((loaded.id(), loaded.backend_name()), ("random-1", "native"));
    assert_eq!(loaded.fingerprint(), files.open().unwrap().fingerprint());
}
