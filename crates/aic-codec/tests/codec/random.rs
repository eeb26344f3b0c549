//! A model with random weights in memory: files of the right names and shapes, for everything that does not depend on
//! what was learned. It has weights only and no graph, so the native backend alone reads it.

use std::fmt::Write as _;

use aic_codec::{Backend, CodecError, LATENT, Model, STAGES};
use sha2::{Digest, Sha256};

use crate::onnx::{self, FLOAT, Graph, INT8, Tensor};

#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) manifest: Vec<u8>,
    pub(crate) encoder: Vec<u8>,
    pub(crate) decoder: Vec<u8>,
    pub(crate) codebooks: Vec<u8>,
}

impl Files {
    pub(crate) fn open(&self) -> Result<Model, CodecError> {
        Model::from_bytes(&self.manifest, &self.encoder, &self.decoder, &self.codebooks, Backend::Native)
    }

    /// Writes the manifest anew, after a file was changed.
    pub(crate) fn sign(&mut self, hop: usize, frame: usize) {
        let manifest = serde_json::json!({
            "id": "random-1", "format": 1, "size": "test", "hop_width": hop, "frame_width": frame,
            "encoder_state": 160 + 28 * (hop + frame), "decoder_state": 160 + 32 * (hop + frame),
            "files": {
                "encoder.onnx": sha256(&self.encoder),
                "decoder.onnx": sha256(&self.decoder),
                "codebooks.f16": sha256(&self.codebooks),
            },
        });
        self.manifest = manifest.to_string().into_bytes();
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub(crate) fn model(hop: usize, frame: usize, seed: u64) -> Model {
    files(hop, frame, seed).open().unwrap()
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.bits() >> 63 == 0
    }

    /// Uniform in ±1.
    pub(crate) fn float(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / 8_388_608.0 - 1.0
    }
}

struct Writer {
    random: Random,
    tensors: Vec<Tensor>,
}

impl Writer {
    fn floats(&mut self, name: &str, dims: &[usize], mut value: impl FnMut(usize, &mut Random) -> f32) {
        let raw_data =
            (0..dims.iter().product()).flat_map(|n| value(n, &mut self.random).to_le_bytes()).collect();
        self.tensor(name, FLOAT, dims, raw_data);
    }

    fn tensor(&mut self, name: &str, data_type: i32, dims: &[usize], raw_data: Vec<u8>) {
        let dims = dims.iter().map(|&dim| i64::try_from(dim).unwrap()).collect();
        self.tensors.push(Tensor { dims, data_type, name: name.to_owned(), raw_data, ..Tensor::default() });
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        let bytes: Vec<u8> = (0..inputs * outputs).map(|_| self.random.bits().to_le_bytes()[0]).collect();
        let scale = 1.0 / 74.0 / (inputs as f32).sqrt();
        self.tensor(&format!("{name}.weight.q"), INT8, &[inputs, outputs], bytes);
        self.floats(&format!("{name}.weight.scale"), &[outputs], |_, random| {
            scale * (1.0 + 0.1 * random.float())
        });
        self.floats(&format!("{name}.bias"), &[outputs], |_, random| 0.1 * random.float());
    }

    fn blocks(&mut self, name: &str, width: usize, count: usize) {
        for index in 0..count {
            let name = format!("{name}.{index}");
            self.floats(&format!("{name}.kernel"), &[5, width], |_, random| 0.45 * random.float());
            self.floats(&format!("{name}.bias"), &[width], |_, random| 0.1 * random.float());
            self.floats(&format!("{name}.norm.weight"), &[width], |_, random| 1.0 + 0.1 * random.float());
            self.floats(&format!("{name}.norm.bias"), &[width], |_, random| 0.1 * random.float());
            self.linear(&format!("{name}.up"), width, 2 * width);
            self.linear(&format!("{name}.down"), 2 * width, width);
        }
    }

    fn mdct(&mut self) {
        use std::f64::consts::PI;
        self.floats("mdct", &[320, 160], |at, _| {
            let (n, k) = ((at / 160) as f64, (at % 160) as f64);
            let window = (PI * (n + 0.5) / 320.0).sin();
            (window * (PI / 160.0 * (n + 80.5) * (k + 0.5)).cos() * (2.0_f64 / 160.0).sqrt()) as f32
        });
    }

    fn finish(&mut self) -> Vec<u8> {
        let initializer = std::mem::take(&mut self.tensors);
        onnx::file(Graph { name: "weights".to_owned(), initializer, ..Graph::default() })
    }
}

/// The four files of a model of these widths.
pub(crate) fn files(hop: usize, frame: usize, seed: u64) -> Files {
    let mut writer = Writer { random: Random(seed), tensors: Vec::new() };
    writer.mdct();
    writer.linear("spread", 320, hop);
    writer.blocks("hops", hop, 3);
    writer.linear("fold", 2 * hop, frame);
    writer.blocks("frames", frame, 3);
    writer.linear("out", frame, LATENT);
    let encoder = writer.finish();
    writer.mdct();
    writer.floats("lost", &[LATENT], |_, random| random.float());
    writer.linear("spread", LATENT + 2, frame);
    writer.blocks("frames", frame, 4);
    writer.linear("unfold", frame, 2 * hop);
    writer.blocks("hops", hop, 4);
    writer.linear("out", hop, 320);
    let decoder = writer.finish();
    let codebooks = (0..STAGES * 1024 * LATENT)
        .flat_map(|n| {
            let scale = 0.7_f32.powi(i32::try_from(n / (1024 * LATENT)).unwrap());
            half(scale * writer.random.float()).to_le_bytes()
        })
        .collect();
    let mut files = Files { manifest: Vec::new(), encoder, decoder, codebooks };
    files.sign(hop, frame);
    files
}

/// To 16 bits, towards zero; what is too small becomes zero.
fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let exponent = (bits >> 23 & 0xff).saturating_sub(112);
    if exponent == 0 { 0 } else { (bits >> 16 & 0x8000 | exponent << 10 | bits >> 13 & 0x3ff) as u16 }
}

/// Something like a voice: a chord of harmonics that moves, with noise.
pub(crate) fn voice(frames: usize, seed: u64) -> Vec<[f32; aic_codec::FRAME]> {
    let mut random = Random(seed);
    let mut phase = 0.0_f32;
    let mut sample = 0_usize;
    (0..frames)
        .map(|_| {
            std::array::from_fn(|_| {
                let time = sample as f32 / 16_000.0;
                sample += 1;
                phase += (110.0 + 40.0 * (3.0 * time).sin()) / 16_000.0;
                phase -= phase.floor();
                let angle = std::f32::consts::TAU * phase;
                let tone: f32 = (1..12_u8).map(|h| (f32::from(h) * angle).sin() / f32::from(h)).sum();
                let level = 0.2 * (2.0 * time).sin().abs();
                level * tone + 0.01 * random.float()
            })
        })
        .collect()
}
