//! Generates the gRPC client and server from a description in Rust, so that no `protoc` is needed.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let echo = Method::builder()
        .name("echo")
        .route_name("Echo")
        .input_type("crate::peers::tonic::Body")
        .output_type("crate::peers::tonic::Body")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    Builder::new().compile(&[Service::builder()
        .name("Echoer")
        .package("bench")
        .method(echo)
        .build()]);
    println!("cargo::rerun-if-changed=build.rs");
}
