//! How much later a sound comes out than it went in, with everything but the network: 48 kHz to 16, the codec, and back.

use aic_codec::resample::{Down, FRAME_48K, Up};
use aic_codec::{Arrived, FRAME, Model};

/// The delay in ms of the path at 48 kHz: a whole frame is gathered first, then comes what the filters and the transform
/// hold back, found where what came out is most like what went in (`samples`, 16 kHz).
///
/// # Errors
/// When the codec refuses the samples.
pub fn algorithmic_ms(model: &Model, samples: &[f32]) -> anyhow::Result<f64> {
    let (mut spread, mut down, mut up) = (Up::default(), Down::default(), Up::default());
    let (mut encoder, mut decoder) = (model.encoder(), model.decoder());
    let (mut said, mut heard, mut pcm) = (Vec::new(), Vec::new(), [0.0; FRAME]);
    for frame in samples.as_chunks::<FRAME>().0 {
        let wide = spread.process(frame);
        let codes = encoder.encode(&down.process(&wide))?;
        decoder.decode(Arrived::Coded { codes: &codes, stages: 12 }, &mut pcm)?;
        said.extend_from_slice(&wide);
        heard.extend_from_slice(&up.process(&pcm));
    }
    let likeness = |lag: usize| -> f32 { said.iter().zip(&heard[lag..]).map(|(a, b)| a * b).sum() };
    // Nothing is held back for as long as two frames.
    let lag = (0..2 * FRAME_48K).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap_or(0);
    Ok(20.0 + lag as f64 / 48.0)
}
