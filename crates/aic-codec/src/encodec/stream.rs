//! One stream's EnCodec: its state tensors, and a session borrowed for each frame.

use std::borrow::Cow;

use ort::session::{SessionInputValue, SessionOutputs};
use ort::value::TensorRef;

use super::Encodec;
use super::manifest::{State, elements};
use crate::backend::Memory;
use crate::backend::runtime::failed;
use crate::codec::conceal::Fade;
use crate::codec::state::{self, Side};
use crate::error::CodecError;

/// One stream's encoder.
#[derive(Debug)]
pub struct EncodecEncoder {
    model: Encodec,
    memory: Tensors,
}

/// One stream's decoder.
#[derive(Debug)]
pub struct EncodecDecoder {
    model: Encodec,
    memory: Tensors,
}

impl EncodecEncoder {
    pub(super) fn new(model: Encodec) -> Self {
        let memory = Tensors::new(&model.0.manifest.encoder.state);
        Self { model, memory }
    }

    /// The codes of the next [`Encodec::hop`] samples.
    ///
    /// # Errors
    /// [`CodecError::Samples`] for another number of samples or ones that are not finite, [`CodecError::Backend`] if the
    /// graph fails or gives a code that its codebook does not have. The state is then as before.
    pub fn encode(&mut self, pcm: &[f32]) -> Result<Vec<u16>, CodecError> {
        let manifest = &self.model.0.manifest;
        let graph = &manifest.encoder;
        if pcm.len() != manifest.hop || !pcm.iter().all(|sample| sample.is_finite()) {
            return Err(CodecError::Samples);
        }
        let input = TensorRef::from_array_view((graph.pcm.shape.as_slice(), pcm)).map_err(failed)?;
        let mut session = self.model.0.encoder.borrow();
        let inputs = self.memory.inputs(&graph.state, &graph.pcm.name, input.into())?;
        let outputs = session.run(inputs).map_err(failed)?;
        let output = port(&outputs, &graph.codes.name)?;
        let (_, values) = output.try_extract_tensor::<i64>().map_err(failed)?;
        let limit = 1_i64 << manifest.bits;
        let codes: Option<Vec<u16>> =
            values.iter().map(|&code| u16::try_from(code).ok().filter(|_| code < limit)).collect();
        let codes = codes.filter(|codes| codes.len() == manifest.codebooks).ok_or_else(|| {
            CodecError::Backend(format!(
                "{} are not {} codes below {limit}",
                graph.codes.name, manifest.codebooks
            ))
        })?;
        self.memory.take(&outputs, &graph.state)?;
        Ok(codes)
    }

    /// Everything the stream remembers.
    pub fn state(&self) -> Vec<u8> {
        state::write(self.model.0.fingerprint, Side::Encoder, Fade::default(), &self.memory)
    }

    /// Goes on from `state`.
    ///
    /// # Errors
    /// [`CodecError::State`] as for [`crate::Encoder::restore`].
    pub fn restore(&mut self, state: &[u8]) -> Result<(), CodecError> {
        state::read(self.model.0.fingerprint, Side::Encoder, &mut self.memory, state).map(drop)
    }
}

impl EncodecDecoder {
    pub(super) fn new(model: Encodec) -> Self {
        let memory = Tensors::new(&model.0.manifest.decoder.state);
        Self { model, memory }
    }

    /// The next [`Encodec::hop`] samples, within ±1.
    ///
    /// # Errors
    /// [`CodecError::Code`] for a code that its codebook does not have, [`CodecError::Stages`] for another number of
    /// codes, [`CodecError::Samples`] if `out` has another length, [`CodecError::Backend`] if the graph fails. State and
    /// `out` are then as before.
    pub fn decode(&mut self, codes: &[u16], out: &mut [f32]) -> Result<(), CodecError> {
        let manifest = &self.model.0.manifest;
        let graph = &manifest.decoder;
        if out.len() != manifest.hop {
            return Err(CodecError::Samples);
        }
        if codes.len() != manifest.codebooks {
            return Err(CodecError::Stages(u8::try_from(codes.len()).unwrap_or(u8::MAX)));
        }
        if let Some(stage) = codes.iter().position(|&code| u32::from(code) >> manifest.bits != 0) {
            return Err(CodecError::Code { stage, code: codes[stage] });
        }
        let wide: Vec<i64> = codes.iter().map(|&code| i64::from(code)).collect();
        let input =
            TensorRef::from_array_view((graph.codes.shape.as_slice(), wide.as_slice())).map_err(failed)?;
        let mut session = self.model.0.decoder.borrow();
        let inputs = self.memory.inputs(&graph.state, &graph.codes.name, input.into())?;
        let outputs = session.run(inputs).map_err(failed)?;
        let output = port(&outputs, &graph.pcm.name)?;
        let (_, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
        if values.len() != out.len() || !values.iter().all(|value| value.is_finite()) {
            return Err(CodecError::Backend(format!(
                "{} is not {} finite samples",
                graph.pcm.name,
                out.len()
            )));
        }
        self.memory.take(&outputs, &graph.state)?;
        for (sample, value) in out.iter_mut().zip(values) {
            *sample = value.clamp(-1.0, 1.0);
        }
        Ok(())
    }

    /// Everything the stream remembers.
    pub fn state(&self) -> Vec<u8> {
        state::write(self.model.0.fingerprint, Side::Decoder, Fade::default(), &self.memory)
    }

    /// Goes on from `state`.
    ///
    /// # Errors
    /// [`CodecError::State`] as for [`crate::Decoder::restore`].
    pub fn restore(&mut self, state: &[u8]) -> Result<(), CodecError> {
        state::read(self.model.0.fingerprint, Side::Decoder, &mut self.memory, state).map(drop)
    }
}

fn port<'a>(outputs: &'a SessionOutputs<'_>, name: &str) -> Result<&'a ort::value::DynValue, CodecError> {
    outputs.get(name).ok_or_else(|| CodecError::Backend(format!("no output {name}")))
}

/// State tensors, one after the other.
#[derive(Debug)]
struct Tensors {
    floats: Vec<f32>,
    next: Vec<f32>,
}

impl Tensors {
    fn new(state: &[State]) -> Self {
        let len = state.iter().map(count).sum();
        Self { floats: vec![0.0; len], next: vec![0.0; len] }
    }

    fn inputs<'a>(
        &'a self,
        state: &'a [State],
        name: &'a str,
        value: SessionInputValue<'a>,
    ) -> Result<Vec<(Cow<'a, str>, SessionInputValue<'a>)>, CodecError> {
        let mut inputs = vec![(Cow::Borrowed(name), value)];
        let mut rest = self.floats.as_slice();
        for state in state {
            let (own, after) = rest.split_at(count(state));
            rest = after;
            let tensor = TensorRef::from_array_view((state.shape.as_slice(), own)).map_err(failed)?;
            inputs.push((Cow::Borrowed(state.input.as_str()), tensor.into()));
        }
        Ok(inputs)
    }

    /// The state after a frame; as before, if anything is wrong with it.
    fn take(&mut self, outputs: &SessionOutputs<'_>, state: &[State]) -> Result<(), CodecError> {
        let mut rest = self.next.as_mut_slice();
        for state in state {
            let (_, values) = port(outputs, &state.output)?.try_extract_tensor::<f32>().map_err(failed)?;
            let (own, after) = rest.split_at_mut(count(state));
            rest = after;
            if values.len() != own.len() || !values.iter().all(|value| value.is_finite()) {
                return Err(CodecError::Backend(format!(
                    "{} is not {} finite numbers",
                    state.output,
                    own.len()
                )));
            }
            own.copy_from_slice(values);
        }
        std::mem::swap(&mut self.floats, &mut self.next);
        Ok(())
    }
}

fn count(state: &State) -> usize {
    elements(&state.shape).expect("checked with the manifest")
}

impl Memory for Tensors {
    fn len(&self) -> usize {
        self.floats.len()
    }

    fn reset(&mut self) {
        self.floats.fill(0.0);
    }

    fn export(&self, out: &mut Vec<f32>) {
        out.extend_from_slice(&self.floats);
    }

    fn import(&mut self, floats: &[f32]) {
        self.floats.copy_from_slice(floats);
    }
}
