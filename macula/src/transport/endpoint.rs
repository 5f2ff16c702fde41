use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::SystemTime;

use quinn::{
    ClientConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TimeSource,
    TransportConfig, VarInt,
};
use tokio::time::Instant;

use super::MemoryNetwork;
use super::congestion::BoundedConfig;
use crate::error::StartError;
use crate::identity::NodeId;
use crate::identity::tls::{TlsIdentity, server_name};
use crate::limits::{self, Limits};

/// Kernel buffers of the UDP socket; the system may give less.
const SOCKET_BUFFER: usize = 4 << 20;

/// The largest packets to peers elsewhere as long as nothing larger has come through, in bytes: what
/// every way carries that QUIC may take.
const FIRST_PACKET: u16 = 1200;
/// The largest packets to peers elsewhere, in bytes: what fits an Ethernet frame.
const FAR_PACKET: u16 = 1452;
/// The largest packets to peers on this machine, in bytes. Ten of them, which leave at once, must not
/// exceed what the system takes in one piece, 65 507. They are that large from the start: to probe
/// for their size costs both ends of a new connection as much as to prove their keys.
const NEAR_PACKET: u16 = 6500;

/// What every path of QUIC carries.
const SMALLEST_PACKET: u16 = 1200;

/// Where a node listens.
#[derive(Clone, Debug)]
pub(crate) enum Listen {
    Udp(SocketAddr),
    Memory(MemoryNetwork, SocketAddr),
}

/// One QUIC endpoint that both dials and accepts, on one socket.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    quinn: quinn::Endpoint,
    client: ByPlace<ClientConfig>,
    server: ByPlace<Arc<ServerConfig>>,
}

/// What differs between peers on this machine, whose packets cross no network, and all others.
#[derive(Clone, Debug)]
struct ByPlace<T> {
    near: T,
    far: T,
}

impl<T> ByPlace<T> {
    fn of(&self, addr: SocketAddr) -> &T {
        if addr.ip().to_canonical().is_loopback() { &self.near } else { &self.far }
    }
}

impl Endpoint {
    pub(crate) fn bind(
        listen: &Listen,
        identity: &TlsIdentity,
        limits: &Limits,
    ) -> Result<Self, StartError> {
        let transport = ByPlace {
            near: Arc::new(transport_config(limits, NEAR_PACKET, NEAR_PACKET)),
            far: Arc::new(transport_config(limits, FIRST_PACKET, FAR_PACKET)),
        };
        let crypto = |error| StartError::Crypto { reason: format!("{error}") };
        let mut server = ServerConfig::with_crypto(Arc::new(identity.server().map_err(crypto)?));
        server.transport_config(transport.far);
        server.max_incoming(limits.max_admissions);
        server.time_source(Arc::new(Uptime::new()));
        let mut near = server.clone();
        near.transport_config(transport.near.clone());
        let server = ByPlace { near: Arc::new(near), far: Arc::new(server) };
        let mut client = ClientConfig::new(Arc::new(identity.client().map_err(crypto)?));
        client.transport_config(server.far.transport.clone());
        let mut near = client.clone();
        near.transport_config(transport.near);
        let client = ByPlace { near, far: client };
        let mut config = EndpointConfig::default();
        // What is offered to peers, and what a packet is read into.
        let _ = config.max_udp_payload_size(NEAR_PACKET);
        let runtime = Arc::new(quinn::TokioRuntime);
        let accepts = Some(ServerConfig::clone(&server.far));
        let quinn = match listen {
            Listen::Udp(addr) => {
                let bind = |source| StartError::Bind { addr: *addr, source };
                let socket = udp_socket(*addr).map_err(bind)?;
                quinn::Endpoint::new(config, accepts, socket, runtime).map_err(bind)?
            }
            Listen::Memory(network, addr) => {
                let bind = |source| StartError::Bind { addr: *addr, source };
                let socket = network.bind(*addr).map_err(bind)?;
                quinn::Endpoint::new_with_abstract_socket(config, accepts, socket, runtime)
                    .map_err(bind)?
            }
        };
        Ok(Self { quinn, client, server })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.quinn.local_addr()
    }

    /// Starts a dial; `expected` is the node that must answer, or none if anyone of the realm may.
    pub(crate) fn connect(
        &self,
        addr: SocketAddr,
        expected: Option<NodeId>,
    ) -> Result<quinn::Connecting, quinn::ConnectError> {
        self.quinn.connect_with(self.client.of(addr).clone(), addr, &server_name(expected))
    }

    /// The next attempt of somebody to connect; none once the endpoint is closed.
    pub(crate) async fn accept(&self) -> Option<quinn::Incoming> {
        self.quinn.accept().await
    }

    /// Goes on with an attempt.
    pub(crate) fn admit(
        &self,
        incoming: quinn::Incoming,
    ) -> Result<quinn::Connecting, quinn::ConnectionError> {
        let config = self.server.of(incoming.remote_address()).clone();
        incoming.accept_with(config)
    }

    /// Closes all connections and stops accepting.
    pub(crate) fn close(&self) {
        self.quinn.close(VarInt::from_u32(0), b"");
    }

    /// Resolves when the peers have been told, or have had time to be.
    pub(crate) async fn drained(&self) {
        self.quinn.wait_idle().await;
    }
}

/// The time by which tokens age: it goes with the clock of the runtime, so that nobody who sets the
/// clock of the machine makes them old, nor a test whose time stands still.
struct Uptime {
    started: SystemTime,
    since: Instant,
}

impl Uptime {
    fn new() -> Self {
        Self { started: SystemTime::now(), since: Instant::now() }
    }
}

impl TimeSource for Uptime {
    fn now(&self) -> SystemTime {
        self.started + self.since.elapsed()
    }
}

fn udp_socket(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(addr),
        socket2::Type::DGRAM,
        Some(socket2::Protocol::UDP),
    )?;
    if let SocketAddr::V6(addr) = addr
        && addr.ip().is_unspecified()
    {
        // Systems differ in whether this is all addresses, or those of IPv6; where it cannot be all,
        // it is the latter.
        let _ = socket.set_only_v6(false);
    }
    // Larger buffers only make bursts cheaper; a system that refuses them still works.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// Until a peer is admitted it may open one stream, on which we buffer 16 KiB, and have us buffer
/// 64 KiB of datagrams; admission raises the former. Packets have `first` bytes at most until more
/// are seen to come through, and `most` then. Where not even `first` do, QUIC finds that out and goes
/// down to 1200.
fn transport_config(limits: &Limits, first: u16, most: u16) -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(most);
    // Half of the way and then all of it, each of which takes a packet of that size: a search for the
    // last twenty bytes takes twice as many, and connections of large clusters do not last.
    discovery.minimum_change((most - SMALLEST_PACKET) * 2 / 5);
    let mut transport = TransportConfig::default();
    transport.initial_mtu(first);
    transport.mtu_discovery_config(Some(discovery));
    transport.congestion_controller_factory(Arc::new(BoundedConfig::default()));
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(limits::UNADMITTED_WINDOW))
        .stream_receive_window(VarInt::from_u32(limits::ADMITTED_WINDOW / 2))
        .datagram_receive_buffer_size(Some(64 << 10))
        .max_idle_timeout(IdleTimeout::try_from(limits.idle_timeout).ok());
    transport
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::SecretKey;

    #[tokio::test]
    async fn packets_on_this_machine_are_large_from_the_start() {
        let network = MemoryNetwork::new(1);
        let bind = |ip: [u8; 4]| {
            let listen = Listen::Memory(network.clone(), SocketAddr::from((ip, 7000)));
            let identity = TlsIdentity::new(&SecretKey::generate()).unwrap();
            Endpoint::bind(&listen, &identity, &Limits::default()).unwrap()
        };
        let cases = [([127, 0, 0, 1], NEAR_PACKET), ([10, 0, 0, 1], FIRST_PACKET)];
        for (ip, first) in cases {
            let (listener, dialler) = (bind(ip), bind([ip[0], 0, 0, 2]));
            let connecting = dialler.connect(listener.local_addr().unwrap(), None).unwrap();
            let accepting = async {
                let incoming = listener.accept().await.unwrap();
                listener.admit(incoming).unwrap().await.unwrap()
            };
            let (dialled, accepted) = tokio::join!(connecting, accepting);
            for connection in [dialled.unwrap(), accepted] {
                let path = connection.stats().path;
                let probed = path.current_mtu > first || path.sent_plpmtud_probes > 0;
                assert!(path.current_mtu >= first);
                assert!(!probed || first == FIRST_PACKET, "{path:?}");
            }
        }
    }
}
