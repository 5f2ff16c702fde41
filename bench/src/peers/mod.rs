//! The candidates: ways to have another process answer with the bytes that it was sent. Each is
//! used as its own documentation says, over loopback, on tokio's default runtime.

pub mod connects;
pub mod irpc;
pub mod macula;
pub mod mux;
pub mod nats;
pub mod nebula;
pub mod quic;
pub mod quinn_mux;
pub mod quinn_streams;
pub mod ractor;
pub mod tarpc;
pub mod tls;
pub mod tls_mux;
pub mod tonic;

use std::time::Duration;

use bytes::Bytes;

use crate::Failure;
use crate::load::Times;

/// A client of one candidate; clones share its connection.
pub trait Peer: Clone + Send + Sync + 'static {
    /// Starts a server in this process, which ends when what this returns is dropped.
    fn serve(place: Place) -> impl Future<Output = Result<Served, Failure>> + Send;

    /// Connects to a server. One connection, whatever the number of callers.
    fn connect(addr: &str) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// One call: the reply carries the bytes of the request.
    fn echo(&self, payload: Bytes) -> impl Future<Output = Result<Bytes, Failure>> + Send;

    /// Says goodbye.
    fn close(self) -> impl Future<Output = ()> + Send {
        async move { drop(self) }
    }

    /// Makes new connections for so long, one after the other, each with one call.
    fn connects(
        &self,
        addr: &str,
        lasts: Duration,
    ) -> impl Future<Output = Result<Times, Failure>> + Send {
        connects::fresh::<Self>(addr, lasts)
    }
}

/// What a server is to be.
#[derive(Clone, Debug)]
pub struct Place {
    /// How many nodes to run in this process, where a candidate has nodes.
    pub nodes: usize,
    /// The address of a node to join, where a candidate has nodes.
    pub seed: Option<String>,
    /// How many services each node of `macula` has: the last method of the last one is called.
    pub services: usize,
    /// How many methods each of them has.
    pub methods: usize,
}

/// A server that runs.
pub struct Served {
    /// Where, without spaces.
    pub addr: String,
    /// Other processes that do its work.
    pub helpers: Vec<u32>,
    /// What must not be dropped meanwhile.
    pub kept: Box<dyn std::any::Any + Send>,
}

impl Served {
    /// A server of which nothing else is to be known.
    pub fn at(addr: impl ToString, kept: impl std::any::Any + Send) -> Self {
        Self { addr: addr.to_string(), helpers: Vec::new(), kept: Box::new(kept) }
    }
}

/// What is to be known of a candidate beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its name on command lines.
    pub id: &'static str,
    /// Its name in tables.
    pub name: &'static str,
    /// How its bytes travel.
    pub over: &'static str,
    /// Whether one process can have many clients.
    pub many: bool,
    /// The largest body that it takes.
    pub largest: usize,
    /// Whether each client is a node that all others get to know.
    pub nodes: bool,
    /// Whether it takes part only where it is named.
    pub extra: bool,
}

const ANY: usize = usize::MAX;

/// All of them, the measure first.
pub const CANDIDATES: &[Candidate] = &[
    candidate("quinn", "raw quinn, one stream", "QUIC, mutual TLS", true, ANY),
    candidate("quinn-streams", "raw quinn, a stream per call", "QUIC, mutual TLS", true, ANY),
    node("nebula", "nebula, typed"),
    extra(node("nebula-thread", "nebula, I/O on threads")),
    extra(node("nebula-served", "nebula, I/O of the server on a thread")),
    node("macula", "macula, untyped"),
    candidate("tls", "raw TLS, one stream", "TCP, mutual TLS", true, ANY),
    candidate("tarpc", "tarpc", "TCP, plain", true, ANY),
    candidate("tonic", "tonic (gRPC)", "TCP, plain", true, ANY),
    candidate("irpc", "irpc", "QUIC (noq), mutual TLS", true, ANY),
    // Larger ones are refused by the broker unless it is configured otherwise.
    candidate("nats", "NATS, through its broker", "TCP, plain", true, 1 << 20),
    // The node server of a process is one, and has one connection to another.
    candidate("ractor", "ractor_cluster", "TCP, plain", false, ANY),
];

const fn candidate(
    id: &'static str,
    name: &'static str,
    over: &'static str,
    many: bool,
    largest: usize,
) -> Candidate {
    Candidate { id, name, over, many, largest, nodes: false, extra: false }
}

const fn extra(candidate: Candidate) -> Candidate {
    Candidate { extra: true, ..candidate }
}

const fn node(id: &'static str, name: &'static str) -> Candidate {
    Candidate { nodes: true, ..candidate(id, name, "QUIC, mutual TLS", true, ANY) }
}

/// Runs a block with the type of the candidate of that id.
macro_rules! with_peer {
    ($id:expr, $peer:ident => $body:block) => {
        match $id {
            "quinn" => {
                type $peer = $crate::peers::quinn_mux::QuinnMux;
                $body
            }
            "quinn-streams" => {
                type $peer = $crate::peers::quinn_streams::QuinnStreams;
                $body
            }
            "nebula" => {
                type $peer = $crate::peers::nebula::Nebula;
                $body
            }
            "nebula-thread" => {
                type $peer = $crate::peers::nebula::NebulaOnThread<true>;
                $body
            }
            "nebula-served" => {
                type $peer = $crate::peers::nebula::NebulaOnThread<false>;
                $body
            }
            // Where there are several servers, the same one always.
            "nebula-one" => {
                type $peer = $crate::compare::fanout::One;
                $body
            }
            "macula" => {
                type $peer = $crate::peers::macula::Macula;
                $body
            }
            "tls" => {
                type $peer = $crate::peers::tls_mux::TlsMux;
                $body
            }
            "tarpc" => {
                type $peer = $crate::peers::tarpc::Tarpc;
                $body
            }
            "tonic" => {
                type $peer = $crate::peers::tonic::Tonic;
                $body
            }
            "irpc" => {
                type $peer = $crate::peers::irpc::Irpc;
                $body
            }
            "nats" => {
                type $peer = $crate::peers::nats::Nats;
                $body
            }
            "ractor" => {
                type $peer = $crate::peers::ractor::Ractor;
                $body
            }
            other => Err(format!("there is no candidate `{other}`").into()),
        }
    };
}
pub(crate) use with_peer;
