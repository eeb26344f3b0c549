//! Reads the weights out of an ONNX file: its initializers, by name, and nothing else of the graph.
//!
//! Every length is checked against the bytes that are there, so hostile files cost no more memory than their own size.

use std::collections::BTreeMap;

use prost::Message;

use crate::error::CodecError;

const FLOAT: i32 = 1;
const INT8: i32 = 3;

/// <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>, as far as weights go.
#[derive(Clone, PartialEq, Message)]
struct OnnxModel {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Tensor>,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    int32_data: Vec<i32>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

/// The tensors of one ONNX file.
pub(crate) struct Weights<'a> {
    file: &'a str,
    tensors: BTreeMap<String, Tensor>,
}

impl<'a> Weights<'a> {
    pub(crate) fn parse(file: &'a str, bytes: &[u8]) -> Result<Self, CodecError> {
        let model = OnnxModel::decode(bytes).map_err(|error| CodecError::model(file, error.to_string()))?;
        let graph = model.graph.ok_or_else(|| CodecError::model(file, "no graph"))?;
        let tensors = graph.initializer.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
        Ok(Self { file, tensors })
    }

    /// Floats of exactly this shape, all finite.
    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, CodecError> {
        let (tensor, count) = self.tensor(name, FLOAT, shape)?;
        let values: Vec<f32> = if tensor.raw_data.is_empty() {
            tensor.float_data.clone()
        } else {
            let (chunks, rest) = tensor.raw_data.as_chunks::<4>();
            if !rest.is_empty() {
                return Err(self.refuse(name, "is cut"));
            }
            chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
        };
        if values.len() != count {
            return Err(self.refuse(name, "has not as many values as its shape says"));
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err(self.refuse(name, "has values that are not finite"));
        }
        Ok(values)
    }

    /// Signed bytes of exactly this shape.
    pub(crate) fn bytes(&self, name: &str, shape: &[usize]) -> Result<Vec<i8>, CodecError> {
        let (tensor, count) = self.tensor(name, INT8, shape)?;
        let values: Vec<i8> = if tensor.raw_data.is_empty() {
            let narrow = tensor.int32_data.iter().map(|value| i8::try_from(*value));
            narrow.collect::<Result<_, _>>().map_err(|_| self.refuse(name, "has values beyond 8 bits"))?
        } else {
            tensor.raw_data.iter().map(|byte| byte.cast_signed()).collect()
        };
        if values.len() != count {
            return Err(self.refuse(name, "has not as many values as its shape says"));
        }
        Ok(values)
    }

    fn tensor(&self, name: &str, data_type: i32, shape: &[usize]) -> Result<(&Tensor, usize), CodecError> {
        let tensor = self.tensors.get(name).ok_or_else(|| self.refuse(name, "is missing"))?;
        if tensor.data_type != data_type {
            return Err(self.refuse(name, &format!("is of type {}, not {data_type}", tensor.data_type)));
        }
        let same = tensor.dims.len() == shape.len()
            && tensor.dims.iter().zip(shape).all(|(dim, &wish)| usize::try_from(*dim) == Ok(wish));
        if !same {
            // A hostile list may be long.
            let dims = &tensor.dims[..tensor.dims.len().min(8)];
            return Err(self.refuse(name, &format!("has shape {dims:?}, not {shape:?}")));
        }
        // The shape asked for is ours and small, so the product cannot overflow.
        Ok((tensor, shape.iter().product()))
    }

    fn refuse(&self, name: &str, what: &str) -> CodecError {
        CodecError::model(self.file, format!("{name} {what}"))
    }
}
