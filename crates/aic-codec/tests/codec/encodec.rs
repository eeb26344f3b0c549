//! A user's EnCodec: a tiny stand-in with the same ports (samples and state in, codes and state out) loads and streams;
//! files that are cut, too large, foreign or dishonest are refused with their name.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use aic_codec::{CodecError, Encodec, StateError};
use serde_json::{Value, json};

use crate::backends::{library, settings};
use crate::onnx::{FLOAT, Graph, INT64, cast, file, floats, node, port};
use crate::random::sha256;

/// Two samples per frame, one code of 4 bits each; the state is half the last frame.
fn encoder() -> Vec<u8> {
    file(Graph {
        name: "encoder".to_owned(),
        node: vec![
            node("Mul", &["past", "half"], "echo"),
            node("Add", &["pcm", "echo"], "sum"),
            node("Identity", &["pcm"], "past_out"),
            node("Add", &["sum", "two"], "raised"),
            node("Mul", &["raised", "four"], "scaled"),
            node("Clip", &["scaled", "zero", "fifteen"], "clipped"),
            node("Reshape", &["clipped", "column"], "turned"),
            cast("turned", "codes", INT64),
        ],
        initializer: vec![
            floats("half", &[], &[0.5]),
            floats("two", &[], &[2.0]),
            floats("four", &[], &[4.0]),
            floats("zero", &[], &[0.0]),
            floats("fifteen", &[], &[15.0]),
            long("column", &[2, 1, 1]),
        ],
        input: vec![port("pcm", FLOAT, &[1, 1, 2]), port("past", FLOAT, &[1, 1, 2])],
        output: vec![port("codes", INT64, &[2, 1, 1]), port("past_out", FLOAT, &[1, 1, 2])],
    })
}

fn decoder() -> Vec<u8> {
    file(Graph {
        name: "decoder".to_owned(),
        node: vec![
            cast("codes", "value", FLOAT),
            node("Mul", &["value", "quarter"], "scaled"),
            node("Sub", &["scaled", "two"], "centred"),
            node("Reshape", &["centred", "flat"], "row"),
            node("Mul", &["past", "half"], "echo"),
            node("Sub", &["row", "echo"], "past_out"),
            node("Identity", &["past_out"], "pcm"),
        ],
        initializer: vec![
            floats("quarter", &[], &[0.25]),
            floats("two", &[], &[2.0]),
            floats("half", &[], &[0.5]),
            long("flat", &[1, 2]),
        ],
        input: vec![port("codes", INT64, &[2, 1, 1]), port("past", FLOAT, &[1, 2])],
        output: vec![port("pcm", FLOAT, &[1, 2]), port("past_out", FLOAT, &[1, 2])],
    })
}

fn long(name: &str, values: &[i64]) -> crate::onnx::Tensor {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let dims = vec![i64::try_from(values.len()).unwrap()];
    crate::onnx::Tensor { dims, data_type: INT64, name: name.to_owned(), raw_data, ..Default::default() }
}

struct Folder {
    folder: tempfile::TempDir,
    library: PathBuf,
    manifest: Value,
}

impl Folder {
    fn new(test: &str) -> Option<Self> {
        let library = library(test)?;
        let folder = tempfile::tempdir().unwrap();
        let state = |shape: &[i64]| json!([{"input": "past", "output": "past_out", "shape": shape}]);
        let manifest = json!({
            "id": "tiny", "kind": "encodec", "format": 1, "sample_rate": 8000, "hop": 2, "codebooks": 2, "bits": 4,
            "encoder": {
                "file": "encoder.onnx", "sha256": "", "pcm": {"name": "pcm", "shape": [1, 1, 2]},
                "codes": {"name": "codes", "shape": [2, 1, 1]}, "state": state(&[1, 1, 2]),
            },
            "decoder": {
                "file": "decoder.onnx", "sha256": "", "pcm": {"name": "pcm", "shape": [1, 2]},
                "codes": {"name": "codes", "shape": [2, 1, 1]}, "state": state(&[1, 2]),
            },
        });
        let mut this = Self { folder, library, manifest };
        this.put("encoder", &encoder());
        this.put("decoder", &decoder());
        Some(this)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Writes a graph and its checksum.
    fn put(&mut self, side: &str, bytes: &[u8]) {
        fs::write(self.path(&format!("{side}.onnx")), bytes).unwrap();
        self.manifest[side]["sha256"] = sha256(bytes).into();
    }

    fn load(&self) -> Result<Encodec, CodecError> {
        fs::write(self.path("manifest.json"), self.manifest.to_string()).unwrap();
        Encodec::load(self.folder.path(), &settings(&self.library))
    }

    fn refused(&self, file: &str, why: &str) {
        match self.load() {
            Err(CodecError::Model { file: found, reason }) => {
                assert_eq!(found, file, "{reason}");
                assert!(reason.contains(why) && reason.len() < 500, "{why}: {reason}");
            }
            other => panic!("{why}: {other:?}"),
        }
    }

    /// With one value of the manifest changed.
    fn refused_with(&self, pointer: &str, value: Value, file: &str, why: &str) {
        let mut manifest = self.manifest.clone();
        *manifest.pointer_mut(pointer).unwrap() = value;
        let changed = Self { folder: tempfile::tempdir().unwrap(), library: self.library.clone(), manifest };
        for side in ["encoder.onnx", "decoder.onnx"] {
            fs::copy(self.path(side), changed.path(side)).unwrap();
        }
        changed.refused(file, why);
    }
}

#[test]
fn a_users_model_streams_and_moves() {
    let Some(folder) = Folder::new("a_users_model_streams_and_moves") else { return };
    let model = folder.load().unwrap();
    assert_eq!((model.id(), model.sample_rate(), model.hop()), ("tiny", 8000, 2));
    assert_eq!((model.codebooks(), model.bits(), model.bps()), (2, 4, 32_000.0));
    let (mut encoder, mut decoder) = (model.encoder(), model.decoder());
    let mut out = [0.0; 2];
    let mut last = [0.0; 2];
    for n in 0..50_u8 {
        let frame = [(f32::from(n) * 0.7).sin(), (f32::from(n) * 0.3).cos() * 0.5];
        let codes = encoder.encode(&frame).unwrap();
        for (k, code) in codes.iter().enumerate() {
            let exact = ((frame[k] + 0.5 * last[k] + 2.0) * 4.0).clamp(0.0, 15.0);
            assert_eq!(f32::from(*code), exact.floor());
        }
        last = frame;
        decoder.decode(&codes, &mut out).unwrap();
        if n % 10 == 5 {
            let (e, d) = (encoder.state(), decoder.state());
            (encoder, decoder) = (model.encoder(), model.decoder());
            assert!(matches!(encoder.restore(&d), Err(CodecError::State(StateError::Side))));
            encoder.restore(&e).unwrap();
            decoder.restore(&d).unwrap();
        }
    }
    assert!(matches!(encoder.encode(&[0.0; 3]), Err(CodecError::Samples)));
    assert!(matches!(encoder.encode(&[0.0, f32::NAN]), Err(CodecError::Samples)));
    assert!(matches!(decoder.decode(&[1, 16], &mut out), Err(CodecError::Code { stage: 1, code: 16 })));
    assert!(matches!(decoder.decode(&[1], &mut out), Err(CodecError::Stages(1))));
    assert!(matches!(decoder.decode(&[1, 1], &mut [0.0; 5]), Err(CodecError::Samples)));
}

#[test]
fn damaged_files_are_refused() {
    let test = "damaged_files_are_refused";
    let Some(mut folder) = Folder::new(test) else { return };
    // Cut and flipped under the old checksum.
    let good = encoder();
    fs::write(folder.path("encoder.onnx"), &good[..good.len() - 1]).unwrap();
    folder.refused("encoder.onnx", "SHA-256");
    let mut flipped = good.clone();
    flipped[40] ^= 1;
    fs::write(folder.path("encoder.onnx"), flipped).unwrap();
    folder.refused("encoder.onnx", "SHA-256");
    fs::remove_file(folder.path("encoder.onnx")).unwrap();
    folder.refused("encoder.onnx", "");
    // The same with a checksum that fits.
    for len in (0..good.len()).step_by(7) {
        folder.put("encoder", &good[..len]);
        folder.refused("encoder.onnx", "");
    }
    folder.put("encoder", b"<!doctype html><title>Sign in</title>");
    folder.refused("encoder.onnx", "");
    folder.put("encoder", &[0xff; 4096]);
    folder.refused("encoder.onnx", "");
    let sparse = File::create(folder.path("encoder.onnx")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    folder.refused("encoder.onnx", "large");
    let Some(folder) = Folder::new(test) else { return };
    fs::write(folder.path("manifest.json"), vec![b' '; 100_000]).unwrap();
    let loaded = Encodec::load(folder.folder.path(), &settings(&folder.library));
    assert!(loaded.unwrap_err().to_string().contains("large"));
    assert!(Encodec::load(Path::new("/nonexistent"), &settings(&folder.library)).is_err());
}

#[test]
fn manifests_that_do_not_fit_are_refused() {
    let Some(folder) = Folder::new("manifests_that_do_not_fit_are_refused") else { return };
    let manifest = "manifest.json";
    for (pointer, value, file, why) in [
        ("/kind", json!("aic"), manifest, "encodec"),
        ("/format", json!(2), manifest, "format"),
        ("/id", json!("no spaces"), manifest, "id"),
        ("/sample_rate", json!(4_000_000_000_u32), manifest, "sample_rate"),
        ("/hop", json!(0), manifest, "hop"),
        ("/hop", json!(3), manifest, "one frame"),
        ("/hop", json!(-1), manifest, "invalid"),
        ("/codebooks", json!(33), manifest, "codebooks"),
        ("/bits", json!(40), manifest, "bits"),
        ("/encoder/file", json!("../encoder.onnx"), manifest, "plain name"),
        ("/encoder/file", json!("/etc/passwd"), manifest, "plain name"),
        ("/encoder/sha256", json!("00"), "encoder.onnx", "SHA-256"),
        ("/encoder/pcm/shape", json!([1, 1, -2]), manifest, "one frame"),
        ("/encoder/pcm/shape", json!([2, 1, 1]), "encoder.onnx", "pcm"),
        ("/encoder/pcm/name", json!("wave"), "encoder.onnx", "wave"),
        ("/encoder/codes/name", json!("indices"), "encoder.onnx", "indices"),
        ("/encoder/state/0/shape", json!([1_i64 << 40, 1_i64 << 40]), manifest, "state"),
        ("/encoder/state/0/shape", json!([1, 1, 1, 1, 1, 1, 2]), manifest, "state"),
        ("/encoder/state/0/shape", json!([2, 1]), "encoder.onnx", "past"),
        ("/encoder/state/0/output", json!("codes"), "encoder.onnx", "codes"),
        ("/decoder/state", json!([]), "decoder.onnx", "inputs"),
        ("/decoder/state", json!("none"), manifest, "invalid"),
    ] {
        folder.refused_with(pointer, value, file, why);
    }
    // Fewer bits than the graph's codes have: the self-test sees it.
    folder.refused_with("/bits", json!(2), "encoder.onnx", "self-test");
}

#[test]
fn graphs_that_break_their_word_are_refused() {
    let Some(mut folder) = Folder::new("graphs_that_break_their_word_are_refused") else { return };
    let with = |change: fn(&mut Graph), good: Vec<u8>| {
        let mut model = <crate::onnx::Model as prost::Message>::decode(good.as_slice()).unwrap();
        change(model.graph.as_mut().unwrap());
        prost::Message::encode_to_vec(&model)
    };
    // Codes that depend on a die.
    folder.put(
        "encoder",
        &with(
            |graph| {
                graph.node[0] = node("RandomUniformLike", &["past"], "echo");
            },
            encoder(),
        ),
    );
    folder.refused("encoder.onnx", "self-test");
    folder.put("encoder", &encoder());
    // Not a number.
    folder
        .put("decoder", &with(|graph| graph.initializer[0] = floats("quarter", &[], &[f32::NAN]), decoder()));
    folder.refused("encoder.onnx", "self-test");
    // Silence.
    folder.put(
        "decoder",
        &with(|graph| graph.node[6] = node("Sub", &["past_out", "past_out"], "pcm"), decoder()),
    );
    folder.refused("decoder.onnx", "silence");
    // An operator that nobody knows.
    folder.put("decoder", &with(|graph| graph.node[6] = node("Exfiltrate", &["past_out"], "pcm"), decoder()));
    folder.refused("decoder.onnx", "Exfiltrate");
    // A tensor in another file.
    folder.put(
        "decoder",
        &with(
            |graph| {
                let external = vec![crate::onnx::Entry {
                    key: "location".to_owned(),
                    value: "/etc/hostname".to_owned(),
                }];
                let tensor = crate::onnx::Tensor { external, location: 1, ..floats("half", &[], &[]) };
                graph.initializer[2] = tensor;
            },
            decoder(),
        ),
    );
    folder.refused("decoder.onnx", "other files");
    folder.put("decoder", &decoder());
    assert!(folder.load().is_ok());
}
