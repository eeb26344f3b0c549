//! gRPC messages and stubs between AuraLink services, generated from `proto/` at build time.
//!
//! The modules mirror the proto packages. Generated code stays out of the repository; the `.proto` files are the
//! documentation of every operation.

/// `auralink.aic.v1`: the speech codec as a service, its configuration and measurements.
pub mod aic {
    /// Version 1 of the codec's service.
    #[allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    pub mod v1 {
        tonic::include_proto!("auralink.aic.v1");
    }
}

/// `auralink.sfu.v1`: rooms, participants and tracks of an SFU node.
pub mod sfu {
    /// Version 1 of the SFU's control surface.
    #[allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    pub mod v1 {
        tonic::include_proto!("auralink.sfu.v1");
    }
}

/// Encoded `FileDescriptorSet` of every package, for gRPC server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
