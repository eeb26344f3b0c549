//! Looks through an ONNX file before ONNX Runtime sees it: a model is one self-contained file, so tensors that lie in
//! other files of this machine are refused, wherever in the graph they are named.

use prost::Message;

use crate::error::CodecError;

/// <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>, as far as tensors may hide.
#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "25")]
    functions: Vec<Function>,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(message, repeated, tag = "7")]
    nodes: Vec<Node>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializers: Vec<Tensor>,
    #[prost(message, repeated, tag = "15")]
    sparse: Vec<Sparse>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(message, optional, tag = "5")]
    tensor: Option<Tensor>,
    #[prost(message, optional, tag = "6")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "10")]
    tensors: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    graphs: Vec<Graph>,
    #[prost(message, optional, tag = "22")]
    sparse: Option<Sparse>,
    #[prost(message, repeated, tag = "23")]
    sparses: Vec<Sparse>,
}

#[derive(Clone, PartialEq, Message)]
struct Sparse {
    #[prost(message, optional, tag = "1")]
    values: Option<Tensor>,
    #[prost(message, optional, tag = "2")]
    indices: Option<Tensor>,
}

/// A tensor's place; its contents are left alone.
#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(message, repeated, tag = "13")]
    external: Vec<Empty>,
    #[prost(int32, tag = "14")]
    location: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Empty {}

pub(crate) fn check(file: &str, bytes: &[u8]) -> Result<(), CodecError> {
    let model = Model::decode(bytes).map_err(|error| CodecError::model(file, error.to_string()))?;
    let graph = model.graph.as_ref().ok_or_else(|| CodecError::model(file, "no graph"))?;
    if model.ir_version < 1 {
        return Err(CodecError::model(file, "not an ONNX model"));
    }
    let whole = graph.is_inside()
        && model.functions.iter().all(|function| function.nodes.iter().all(Node::is_inside));
    if whole { Ok(()) } else { Err(CodecError::model(file, "names tensors in other files")) }
}

// The decoder bounds how deep graphs nest, so recursion ends.
impl Graph {
    fn is_inside(&self) -> bool {
        self.nodes.iter().all(Node::is_inside)
            && self.initializers.iter().all(Tensor::is_inside)
            && self.sparse.iter().all(Sparse::is_inside)
    }
}

impl Node {
    fn is_inside(&self) -> bool {
        self.attributes.iter().all(|attribute| {
            attribute.tensor.iter().chain(&attribute.tensors).all(Tensor::is_inside)
                && attribute.graph.iter().chain(&attribute.graphs).all(Graph::is_inside)
                && attribute.sparse.iter().chain(&attribute.sparses).all(Sparse::is_inside)
        })
    }
}

impl Sparse {
    fn is_inside(&self) -> bool {
        self.values.iter().chain(&self.indices).all(Tensor::is_inside)
    }
}

impl Tensor {
    fn is_inside(&self) -> bool {
        self.external.is_empty() && self.location == 0
    }
}
