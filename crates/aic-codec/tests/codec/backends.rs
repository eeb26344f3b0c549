//! The same model on the built-in arithmetic and on ONNX Runtime: the same sound, streams that move between the two, and
//! clear errors where the runtime, the device or the graph is not what it should be.

use std::path::{Path, PathBuf};
use std::thread;

use aic_codec::{Arrived, Backend, CodecError, Codes, Device, FRAME, Model, OnnxSettings};
use prost::Message as _;

use crate::onnx;
use crate::random::{self, voice};
use crate::speech;

pub(crate) const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/aic16m-1");

/// ONNX Runtime's library: named by `AIC_ONNXRUNTIME`, or from the Python package in the tests' own environment.
pub(crate) fn library(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("AIC_ONNXRUNTIME").map(PathBuf::from);
    let venv = std::env::var_os("AURALINK_VENV").map(PathBuf::from);
    let found = named.or_else(|| {
        let python = std::fs::read_dir(venv?.join("lib")).ok()?.flatten();
        let capi = python.map(|entry| entry.path().join("site-packages/onnxruntime/capi"));
        let mut files = capi.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        files
            .find(|file| file.file_name().to_string_lossy().starts_with("libonnxruntime.so"))
            .map(|file| file.path())
    });
    if found.is_none() {
        eprintln!("SKIPPED {test}: no ONNX Runtime in $AIC_ONNXRUNTIME or $AURALINK_VENV");
    }
    found
}

pub(crate) fn settings(library: &Path) -> OnnxSettings {
    OnnxSettings { library: Some(library.to_owned()), device: Device::Cpu, sessions: 2 }
}

/// The bundled model on both.
fn both(test: &str) -> Option<(Model, Model)> {
    let library = library(test)?;
    let native = Model::bundled_on(Backend::Native).unwrap();
    let onnx = Model::load_onnx(Path::new(MODEL), &settings(&library)).unwrap();
    assert_eq!((native.backend_name(), onnx.backend_name()), ("native", "onnx"));
    assert_eq!((native.id(), native.fingerprint()), (onnx.id(), onnx.fingerprint()));
    Some((native, onnx))
}

fn encode(model: &Model, frames: &[[f32; FRAME]]) -> Vec<Codes> {
    let mut encoder = model.encoder();
    frames.iter().map(|frame| encoder.encode(frame).unwrap()).collect()
}

/// With every 7th to 9th frame lost, and rates in turn.
fn decode(model: &Model, codes: &[Codes]) -> Vec<f32> {
    let mut decoder = model.decoder();
    let mut out = [0.0; FRAME];
    let pcm = codes.iter().enumerate().flat_map(|(n, codes)| {
        let stages = [12, 12, 6, 3][n / 20 % 4];
        let arrived = if n % 23 >= 20 { Arrived::Lost } else { Arrived::Coded { codes, stages } };
        decoder.decode(arrived, &mut out).unwrap();
        out
    });
    pcm.collect()
}

fn largest(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn both_backends_give_the_same_sound_and_codes() {
    let Some((native, onnx)) = both("both_backends_give_the_same_sound_and_codes") else { return };
    let mut clips = speech::clips("real speech in both_backends_give_the_same_sound_and_codes", 6, 5);
    clips.push(voice(150, 1));
    let (mut same, mut all) = (0, 0);
    for frames in &clips {
        let codes = encode(&native, frames);
        let other = encode(&onnx, frames);
        same += codes
            .iter()
            .zip(&other)
            .map(|(a, b)| a.0.iter().zip(&b.0).filter(|(a, b)| a == b).count())
            .sum::<usize>();
        all += 12 * codes.len();
        let (a, b) = (decode(&native, &codes), decode(&onnx, &codes));
        assert!(largest(&a, &b) < 1e-3, "{}", largest(&a, &b));
    }
    // A near tie may fall the other way; each takes a few later stages of its frame along.
    assert!(same * 1000 >= all * 998, "{same} of {all} codes agree");
}

#[test]
fn a_stream_may_move_from_one_backend_to_the_other() {
    let Some((native, onnx)) = both("a_stream_may_move_from_one_backend_to_the_other") else { return };
    let frames = voice(60, 2);
    let codes = encode(&native, &frames);
    let whole = decode(&native, &codes);
    let mut decoder = native.decoder();
    let mut pcm = Vec::new();
    for (n, codes) in codes.iter().enumerate() {
        let mut other = if n % 2 == 0 { onnx.decoder() } else { native.decoder() };
        other.restore(&decoder.state()).unwrap();
        decoder = other;
        let mut out = [0.0; FRAME];
        let stages = [12, 12, 6, 3][n / 20 % 4];
        let arrived = if n % 23 >= 20 { Arrived::Lost } else { Arrived::Coded { codes, stages } };
        decoder.decode(arrived, &mut out).unwrap();
        pcm.extend(out);
    }
    assert!(largest(&whole, &pcm) < 1e-3, "{}", largest(&whole, &pcm));
    let mut encoder = onnx.encoder();
    encoder.encode(&frames[0]).unwrap();
    let mut moved = native.encoder();
    moved.restore(&encoder.state()).unwrap();
    assert_eq!(moved.state(), encoder.state());
}

#[test]
fn more_streams_than_sessions_share_them_without_a_trace() {
    let Some((_, onnx)) = both("more_streams_than_sessions_share_them_without_a_trace") else { return };
    let alone: Vec<_> = (0..6).map(|seed| encode(&onnx, &voice(30, seed))).collect();
    let together: Vec<_> = thread::scope(|scope| {
        let streams: Vec<_> = (0..6)
            .map(|seed| {
                scope.spawn({
                    let onnx = &onnx;
                    move || encode(onnx, &voice(30, seed))
                })
            })
            .collect();
        streams.into_iter().map(|stream| stream.join().unwrap()).collect()
    });
    assert_eq!(together, alone);
}

#[test]
fn a_missing_or_wrong_library_is_named() {
    let unavailable = |path: &Path| match Model::load_onnx(Path::new(MODEL), &settings(path)) {
        Err(CodecError::Unavailable(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let nowhere = unavailable(Path::new("/nonexistent/libonnxruntime.so"));
    assert!(nowhere.contains("/nonexistent/libonnxruntime.so"), "{nowhere}");
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libonnxruntime.so");
    std::fs::write(&text, "not a library").unwrap();
    let reason = unavailable(&text);
    assert!(reason.contains("libonnxruntime.so"), "{reason}");
    let none = OnnxSettings { library: None, ..settings(&text) };
    // Unless another test of this process has loaded it already.
    if let Err(error) = Model::load_onnx(Path::new(MODEL), &none) {
        assert!(error.to_string().contains("AIC_ONNXRUNTIME"), "{error}");
    }
}

#[test]
fn an_absent_device_is_an_error() {
    let Some(library) = library("an_absent_device_is_an_error") else { return };
    let cuda = OnnxSettings { device: Device::Cuda(7), ..settings(&library) };
    match Model::load_onnx(Path::new(MODEL), &cuda) {
        Err(CodecError::Unavailable(reason)) => assert!(reason.contains("CUDA device 7"), "{reason}"),
        // A machine with eight of them.
        other => assert!(other.is_ok(), "{other:?}"),
    }
}

#[test]
fn graphs_that_are_not_ours_are_refused() {
    let Some(library) = library("graphs_that_are_not_ours_are_refused") else { return };
    let folder = tempfile::tempdir().unwrap();
    let read = |file: &str| std::fs::read(Path::new(MODEL).join(file)).unwrap();
    let good = random::Files {
        manifest: Vec::new(),
        encoder: read("encoder.onnx"),
        decoder: read("decoder.onnx"),
        codebooks: read("codebooks.f16"),
    };
    let refused = |mut files: random::Files, file: &str, why: &str| {
        files.sign(256, 384);
        for (name, bytes) in [
            ("manifest.json", &files.manifest),
            ("encoder.onnx", &files.encoder),
            ("decoder.onnx", &files.decoder),
            ("codebooks.f16", &files.codebooks),
        ] {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        match Model::load_onnx(folder.path(), &settings(&library)) {
            Err(CodecError::Model { file: found, reason }) => {
                assert_eq!(found, file, "{reason}");
                assert!(reason.contains(why) && reason.chars().count() <= 400, "{reason}");
            }
            other => panic!("{other:?}"),
        }
    };
    refused(random::Files { encoder: vec![0xff; 5000], ..good.clone() }, "encoder.onnx", "");
    refused(random::Files { encoder: Vec::new(), ..good.clone() }, "encoder.onnx", "no graph");
    let cut = good.encoder[..good.encoder.len() / 2].to_vec();
    refused(random::Files { encoder: cut, ..good.clone() }, "encoder.onnx", "");
    // A decoder where the encoder belongs.
    refused(random::Files { encoder: good.decoder.clone(), ..good.clone() }, "encoder.onnx", "input");
    // Weights without a graph.
    let weights = random::files(256, 384, 1).encoder;
    refused(random::Files { encoder: weights, ..good.clone() }, "encoder.onnx", "");
    // Appended fields of a message are merged into it: one more tensor, which lies in another file.
    let mut outside = good.decoder.clone();
    let external = vec![onnx::Entry { key: "location".to_owned(), value: "/etc/passwd".to_owned() }];
    let stolen = onnx::Tensor { external, location: 1, ..onnx::floats("stolen", &[4], &[]) };
    let graph = onnx::Graph { initializer: vec![stolen], ..onnx::Graph::default() };
    outside.extend(onnx::Model { graph: Some(graph), ..onnx::Model::default() }.encode_to_vec());
    refused(random::Files { decoder: outside, ..good }, "decoder.onnx", "other files");
}
