//! The endpoint of the raw candidates, with the settings that a node of the mesh has once a peer is
//! admitted (`macula/src/transport/endpoint.rs` and `macula/src/limits.rs`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use macula::MemoryNetwork;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig,
    TransportConfig, VarInt,
};

use super::tls;
use crate::Failure;

/// Set to raise the datagram size that is probed for, in bytes: for the comparison with nodes that
/// do so themselves.
const MTU: &str = "BENCH_MTU";
/// Of the UDP socket, in each direction.
const SOCKET_BUFFER: usize = 4 << 20;
/// What a peer may have the other buffer.
const WINDOW: u32 = 24 << 20;

/// Where an endpoint is.
#[derive(Clone)]
pub enum On {
    /// A free port of this machine.
    Loopback,
    /// A network inside this process.
    Memory(MemoryNetwork, SocketAddr),
}

/// An endpoint that dials and accepts, with so many streams in each direction at once.
///
/// # Errors
/// The system refuses a socket.
pub fn endpoint(on: &On, streams: u32) -> Result<Endpoint, Failure> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(streams.into())
        .max_concurrent_uni_streams(VarInt::from_u32(64))
        .receive_window(WINDOW.into())
        .stream_receive_window((WINDOW / 2).into())
        .max_idle_timeout(Some(IdleTimeout::try_from(Duration::from_secs(30))?));
    let mut config = EndpointConfig::default();
    if let Ok(mtu) = std::env::var(MTU) {
        let mtu: u16 = mtu.parse()?;
        let mut discovery = MtuDiscoveryConfig::default();
        discovery.upper_bound(mtu);
        transport.mtu_discovery_config(Some(discovery));
        config.max_udp_payload_size(mtu)?;
    }
    let transport = Arc::new(transport);
    let mut server =
        ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls::server()?)?));
    server.transport_config(transport.clone());
    let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls::client()?)?));
    client.transport_config(transport);
    let runtime = Arc::new(quinn::TokioRuntime);
    let mut endpoint = match on {
        On::Loopback => Endpoint::new(config, Some(server), socket()?, runtime)?,
        On::Memory(network, addr) => {
            let socket = network.bind(*addr)?;
            Endpoint::new_with_abstract_socket(config, Some(server), socket, runtime)?
        }
    };
    endpoint.set_default_client_config(client);
    Ok(endpoint)
}

fn socket() -> Result<std::net::UdpSocket, Failure> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    Ok(socket.into())
}
