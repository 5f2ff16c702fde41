//! Packets with a sender who is elsewhere: what comes back goes to somebody who asked for nothing.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use macula::MemoryNetwork;
use macula::identity::SecretKey;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, UdpPoller};
use tokio::time::{Instant, sleep};

use crate::rude;
use crate::victim::{PATIENCE, Victim, member};
use crate::{alone, in_use, peers};

/// How many times what it got a node may send to an address that is not proven (RFC 9000, 8.1).
/// quinn begins a packet as long as a byte of that is left, so it may be exceeded by one packet.
const AMPLIFICATION: usize = 3;
const PACKET: usize = 1200;

/// A socket of which the owner hears nothing: the packets that it sends look to the victim as if
/// another had sent them in its name, and the answers are only counted.
#[derive(Debug)]
struct Deaf {
    inner: Arc<dyn AsyncUdpSocket>,
    /// How many packets leave it.
    most: usize,
    tally: Arc<Mutex<Tally>>,
}

#[derive(Debug, Default)]
struct Tally {
    packets: Vec<Vec<u8>>,
    sent: usize,
    got: usize,
    retries: usize,
    /// A packet came although nothing was left.
    exceeded: bool,
}

impl AsyncUdpSocket for Deaf {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let mut tally = self.tally.lock().unwrap();
        if tally.packets.len() == self.most {
            return Ok(());
        }
        tally.packets.push(transmit.contents.to_vec());
        tally.sent += transmit.contents.len();
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let got = ready!(self.inner.poll_recv(cx, bufs, meta))?;
            let mut tally = self.tally.lock().unwrap();
            for (meta, buf) in meta.iter().zip(bufs.iter()).take(got) {
                tally.exceeded |= tally.got >= AMPLIFICATION * tally.sent || meta.len > PACKET;
                tally.got += meta.len;
                // A long header of the type Retry (RFC 9000, 17.2.5).
                tally.retries += usize::from(buf[0] & 0xf0 == 0xf0);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// Somebody who connects in the name of `addr`, with so many packets at most.
struct Spoofer {
    tally: Arc<Mutex<Tally>>,
    _endpoint: Endpoint,
    _connecting: quinn::Connecting,
}

impl Spoofer {
    fn new(victim: &Victim, addr: SocketAddr, most: usize) -> Self {
        let tally = Arc::new(Mutex::default());
        let inner = victim.network.bind(addr).unwrap();
        let socket = Arc::new(Deaf { inner, most, tally: tally.clone() });
        let runtime = Arc::new(quinn::TokioRuntime);
        let config = EndpointConfig::default();
        let endpoint = Endpoint::new_with_abstract_socket(config, None, socket, runtime).unwrap();
        let tls = QuicClientConfig::try_from(rude::tls(&SecretKey::generate(), true)).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(tls));
        let connecting = endpoint.connect_with(config, victim.mesh.addr(), "any.macula").unwrap();
        Self { tally, _endpoint: endpoint, _connecting: connecting }
    }

    /// (packets sent, bytes sent, bytes that came back, retries among them)
    fn tally(&self) -> (usize, usize, usize, usize) {
        let tally = self.tally.lock().unwrap();
        assert!(!tally.exceeded, "{} bytes for {}", tally.got, tally.sent);
        (tally.packets.len(), tally.sent, tally.got, tally.retries)
    }
}

fn nobody(number: usize) -> SocketAddr {
    let [_, a, b, c] = u32::try_from(number).unwrap().to_be_bytes();
    SocketAddr::from(([172, 16 + a, b, c], 9000))
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_not_proven_gets_three_times_what_it_sent_at_most() {
    let _alone = alone().await;
    // Time enough to say again, and again, what is not acknowledged.
    let victim = Victim::with(|limits| limits.admission_timeout = PATIENCE).await;
    // As many packets as a client sends that is not answered, or just one or two of them.
    let limits = [1, 2, usize::MAX];
    let spoofers = limits.map(|most| Spoofer::new(&victim, nobody(most & 0xff), most));
    sleep(PATIENCE).await;
    for (most, spoofer) in limits.iter().zip(&spoofers) {
        let (packets, sent, got, retries) = spoofer.tally();
        println!("{packets} packets, {sent} bytes: {got} bytes back, {retries} retries");
        assert!(packets <= *most && sent >= PACKET * packets, "{packets} packets");
        assert!(got > 0 && retries == 0, "{got} bytes: it is answered as anybody is");
    }
    victim.is_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn above_half_of_the_places_an_address_must_be_proven() {
    let _alone = alone().await;
    let victim = Victim::with(|limits| {
        limits.max_admissions = 8;
        limits.admission_timeout = PATIENCE;
    })
    .await;
    let holders: Vec<_> = (0..4).map(|number| Spoofer::new(&victim, nobody(number), 1)).collect();
    sleep(Duration::from_millis(10)).await;
    assert!(holders.iter().all(|holder| holder.tally().3 == 0), "half of the places are free");
    // The next one must prove its address first, and cannot.
    let late = Spoofer::new(&victim, nobody(4), 1);
    sleep(Duration::from_millis(10)).await;
    let (_, sent, got, retries) = late.tally();
    assert!(retries == 1 && got < sent / 4, "{retries} retries in {got} bytes");

    // Its packet again, from ever more addresses.
    let packet = late.tally.lock().unwrap().packets[0].clone();
    let crowd = peers(2000);
    let memory = in_use();
    for number in 10..10 + crowd {
        let got = exchange(&victim.network, nobody(number), victim.mesh.addr(), &packet).await;
        assert!((1..=sent / 4).contains(&got), "{got} bytes to address {number}");
    }
    let grown = in_use() - memory;
    // The network itself remembers each pair of addresses.
    let (memory, sink) = (in_use(), victim.network.bind(nobody(5)).unwrap());
    for number in 10..10 + crowd {
        let from = victim.network.bind(nobody(number)).unwrap();
        for (socket, to) in [(&from, nobody(5)), (&sink, nobody(number))] {
            send(&**socket, to, b"hi");
        }
        let mut buf = [0; 10];
        receive(&*sink, &mut buf).await;
    }
    let network = in_use() - memory;
    println!("{crowd} addresses: {grown} bytes, of them {network} of the network");
    let left = grown - network;
    assert!(left < (16 << 10) + 8 * crowd as isize, "{left} bytes for {crowd} addresses");

    // Whoever is where it says has its place at once.
    let began = Instant::now();
    let newcomer = member(&victim.network, "newcomer", 20).seed(victim.mesh.addr().to_string());
    let newcomer = newcomer.join_timeout(PATIENCE).start().await.unwrap();
    assert!(newcomer.joining().borrow().joined);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(victim.mesh.refusals().is_empty(), "{:?}", victim.mesh.refusals());
    victim.is_well(0).await;
}

/// Sends one packet from this address, and counts what comes back within a moment.
async fn exchange(
    network: &MemoryNetwork,
    from: SocketAddr,
    to: SocketAddr,
    packet: &[u8],
) -> usize {
    let socket = network.bind(from).unwrap();
    send(&*socket, to, packet);
    let mut buf = [0; 2000];
    let mut got = receive(&*socket, &mut buf).await;
    let more = receive(&*socket, &mut buf);
    if let Ok(more) = tokio::time::timeout(Duration::from_micros(10), more).await {
        got += more;
    }
    got
}

fn send(socket: &dyn AsyncUdpSocket, destination: SocketAddr, contents: &[u8]) {
    let transmit = Transmit { destination, ecn: None, contents, segment_size: None, src_ip: None };
    socket.try_send(&transmit).unwrap();
}

async fn receive(socket: &dyn AsyncUdpSocket, buf: &mut [u8]) -> usize {
    std::future::poll_fn(|cx| {
        let mut meta = [RecvMeta::default()];
        let received = ready!(socket.poll_recv(cx, &mut [IoSliceMut::new(buf)], &mut meta));
        assert_eq!(received.unwrap(), 1);
        Poll::Ready(meta[0].len)
    })
    .await
}
