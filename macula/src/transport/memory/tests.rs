use std::future::poll_fn;

use quinn::udp::EcnCodepoint;
use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use tokio::time::timeout;

use super::inbox::QUEUE_LIMIT;
use super::*;
use crate::identity::SecretKey;
use crate::identity::tls::{TlsIdentity, server_name};

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 7000))
}

fn pair(network: &MemoryNetwork) -> [Arc<dyn AsyncUdpSocket>; 2] {
    [addr(1), addr(2)].map(|addr| network.bind(addr).unwrap())
}

fn send(socket: &dyn AsyncUdpSocket, to: SocketAddr, contents: &[u8]) {
    send_segments(socket, to, contents, None);
}

fn send_segments(
    socket: &dyn AsyncUdpSocket,
    destination: SocketAddr,
    contents: &[u8],
    segment_size: Option<usize>,
) {
    let ecn = Some(EcnCodepoint::Ect0);
    let transmit = Transmit { destination, ecn, contents, segment_size, src_ip: None };
    socket.try_send(&transmit).unwrap();
}

/// The sender, its mark and the content of up to eight datagrams, waiting for the first.
async fn receive_some(
    socket: &dyn AsyncUdpSocket,
) -> Vec<(SocketAddr, Option<EcnCodepoint>, Vec<u8>)> {
    let mut memory = [[0; 16]; 8];
    let mut meta = [RecvMeta::default(); 8];
    let received = poll_fn(|cx| {
        let mut bufs: Vec<_> = memory.iter_mut().map(|buf| IoSliceMut::new(buf)).collect();
        socket.poll_recv(cx, &mut bufs, &mut meta)
    })
    .await
    .unwrap();
    let received = memory.iter().zip(&meta).take(received);
    received.map(|(buf, meta)| (meta.addr, meta.ecn, buf[..meta.len].to_vec())).collect()
}

async fn receive(socket: &dyn AsyncUdpSocket) -> Vec<Vec<u8>> {
    receive_some(socket).await.into_iter().map(|(_, _, content)| content).collect()
}

/// All that is there now.
async fn drain(socket: &dyn AsyncUdpSocket) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    // The clock is paused, so this waits for nothing that is due.
    while let Ok(mut some) = timeout(Duration::from_millis(1), receive(socket)).await {
        all.append(&mut some);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn datagrams_arrive_at_once_in_order_with_sender_and_mark() {
    let network = MemoryNetwork::new(1);
    let [a, b] = pair(&network);
    let start = Instant::now();
    send(&*a, addr(2), b"one");
    send_segments(&*a, addr(2), b"two2three", Some(4));
    let expected = [&b"one"[..], b"two2", b"thre", b"e"]
        .map(|content| (addr(1), Some(EcnCodepoint::Ect0), content.to_vec()));
    assert_eq!(receive_some(&*b).await, expected);
    send(&*a, addr(2), &[b'x'; 20]);
    assert_eq!(receive(&*b).await, [vec![b'x'; 16]]);
    assert_eq!(Instant::now(), start);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_receiver_is_woken() {
    let network = MemoryNetwork::new(1);
    let [a, b] = pair(&network);
    let waiting = tokio::spawn(async move { receive(&*b).await });
    tokio::task::yield_now().await;
    send(&*a, addr(2), b"hi");
    assert_eq!(waiting.await.unwrap(), [b"hi"]);
}

#[test]
fn an_address_is_taken_until_its_socket_is_dropped() {
    let network = MemoryNetwork::new(1);
    let first = network.bind(addr(1)).unwrap();
    let taken = network.clone().bind(addr(1)).unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    drop(first);
    network.bind(addr(1)).unwrap();

    let any = SocketAddr::from(([10, 0, 0, 1], 0));
    let sockets: Vec<_> = (0..16384).map(|_| network.bind(any).unwrap()).collect();
    let ports: BTreeSet<u16> =
        sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
    assert_eq!((ports.len(), ports.first()), (16384, Some(&FIRST_FREE_PORT)));
    assert_eq!(network.bind(any).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    let given_back = sockets[77].local_addr().unwrap();
    drop(sockets.into_iter().nth(77));
    network.bind(given_back).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cut_is_one_way_and_a_partition_both() {
    let network = MemoryNetwork::new(1);
    let [a, b] = pair(&network);
    let passing = async || {
        send(&*a, addr(2), b"a");
        send(&*b, addr(1), b"b");
        (drain(&*b).await.len(), drain(&*a).await.len())
    };
    network.cut(addr(1), addr(2));
    assert_eq!(passing().await, (0, 1));
    network.partition(addr(2), addr(1));
    assert_eq!(passing().await, (0, 0));
    network.heal();
    assert_eq!(passing().await, (1, 1));
}

#[tokio::test(start_paused = true)]
async fn losses_follow_the_seed_and_the_share() {
    let run = async |seed, share| {
        let network = MemoryNetwork::new(seed);
        network.loss(share);
        let [a, b] = pair(&network);
        (0..1000u32).for_each(|n| send(&*a, addr(2), &n.to_be_bytes()));
        drain(&*b).await
    };
    let survivors = run(7, 0.1).await;
    assert!((850..950).contains(&survivors.len()), "{}", survivors.len());
    assert_eq!(run(7, 0.1).await, survivors);
    assert_ne!(run(8, 0.1).await, survivors);
    assert_eq!((run(7, 0.0).await.len(), run(7, 1.0).await.len()), (1000, 0));
    assert_eq!((run(7, -3.0).await.len(), run(7, f64::NAN).await.len()), (1000, 1000));
}

#[tokio::test(start_paused = true)]
async fn faults_of_a_link_hold_for_it_alone_and_until_the_next_for_all() {
    let network = MemoryNetwork::new(1);
    let [a, b] = pair(&network);
    network.link_loss(addr(1), addr(2), 1.0);
    network.link_delay(addr(2), addr(1), Duration::from_secs(1));
    send(&*a, addr(2), b"lost");
    send(&*b, addr(1), b"late");
    assert!(drain(&*b).await.is_empty());
    assert!(drain(&*a).await.is_empty());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(drain(&*a).await, [b"late"]);

    network.loss(0.0);
    network.delay(Duration::ZERO);
    send(&*a, addr(2), b"a");
    send(&*b, addr(1), b"b");
    assert_eq!((drain(&*b).await.len(), drain(&*a).await.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn other_faults_of_a_link_stay_when_one_is_set_for_all() {
    let network = MemoryNetwork::new(1);
    let [a, b] = pair(&network);
    network.link_faults(addr(1), addr(2), |faults| faults.duplicate(1.0).loss(1.0));
    assert!(!network.is_open(addr(1), addr(2)) && network.is_open(addr(2), addr(1)));
    network.loss(0.0);
    send(&*a, addr(2), b"a");
    send(&*b, addr(1), b"b");
    assert_eq!((drain(&*b).await.len(), drain(&*a).await.len()), (2, 1));
    network.faults(|_| Faults::none());
    send(&*a, addr(2), b"a");
    assert_eq!(drain(&*b).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_back_is_overtaken() {
    let network = MemoryNetwork::new(1);
    let [a, b] = pair(&network);
    network.link_faults(addr(1), addr(2), |faults| faults.reorder(1.0, Duration::from_secs(1)));
    send(&*a, addr(2), b"1");
    network.link_faults(addr(1), addr(2), |_| Faults::none());
    send(&*a, addr(2), b"2");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(drain(&*b).await, [b"2", b"1"]);
}

#[tokio::test(start_paused = true)]
async fn a_paused_socket_sends_nothing_and_receives_later() {
    let network = MemoryNetwork::new(1);
    let [a, b] = pair(&network);
    network.delay(Duration::from_millis(5));
    // On its way when the pause begins, and due within it.
    send(&*a, addr(2), b"1");
    network.pause(addr(2));
    assert!(!network.is_open(addr(1), addr(2)) && !network.is_open(addr(2), addr(1)));
    network.delay(Duration::ZERO);
    send(&*a, addr(2), b"2");
    send(&*b, addr(1), b"lost");
    network.heal();
    let waiting = tokio::spawn(async move { (drain(&*b).await, b) });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(drain(&*a).await.is_empty());
    let (none, b) = waiting.await.unwrap();
    assert!(none.is_empty());
    let woken = tokio::spawn(async move { receive(&*b).await });
    tokio::task::yield_now().await;
    network.resume(addr(2));
    assert_eq!(woken.await.unwrap(), [b"2", b"1"]);
    // Nobody is there: nothing happens.
    network.pause(addr(9));
    network.resume(addr(9));
}

#[tokio::test(start_paused = true)]
async fn an_unplugged_socket_leaves_its_address_to_others() {
    let network = MemoryNetwork::new(1);
    let [a, b] = pair(&network);
    send(&*a, addr(2), b"unread");
    network.unplug(addr(2));
    assert!(!network.is_open(addr(1), addr(2)));
    let next = network.bind(addr(2)).unwrap();
    send(&*a, addr(2), b"next");
    send(&*b, addr(1), b"lost");
    assert_eq!((drain(&*b).await.len(), drain(&*a).await.len()), (0, 0));
    // Nor does its end take the address from whoever has it now.
    drop(b);
    assert_eq!(drain(&*next).await, [b"next"]);
    assert!(network.is_open(addr(1), addr(2)));
}

#[tokio::test(start_paused = true)]
async fn delays_take_virtual_time_and_a_shorter_one_overtakes() {
    let network = MemoryNetwork::new(1);
    let [a, b] = pair(&network);
    let start = Instant::now();
    network.delay(Duration::from_millis(300));
    send(&*a, addr(2), b"slow");
    let waiting = tokio::spawn(async move {
        let first = receive(&*b).await;
        let first_at = start.elapsed();
        (first, first_at, receive(&*b).await, start.elapsed())
    });
    tokio::task::yield_now().await;
    network.delay(Duration::from_millis(20));
    send(&*a, addr(2), b"fast");
    let (first, first_at, second, second_at) = waiting.await.unwrap();
    assert_eq!((first, second), (vec![b"fast".to_vec()], vec![b"slow".to_vec()]));
    let near = |at: Duration, ms| (ms..=ms + 2).contains(&at.as_millis());
    assert!(near(first_at, 20) && near(second_at, 300), "{first_at:?} {second_at:?}");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_the_newest() {
    let network = MemoryNetwork::new(1);
    let [a, b] = pair(&network);
    (0..5000u32).for_each(|n| send(&*a, addr(2), &n.to_be_bytes()));
    let received = drain(&*b).await;
    assert_eq!(received.len(), QUEUE_LIMIT);
    assert_eq!(received.last().unwrap()[..], (QUEUE_LIMIT as u32 - 1).to_be_bytes());
}

#[tokio::test(start_paused = true)]
async fn quinn_echoes_through_loss_and_delay() {
    let network = MemoryNetwork::new(42);
    let [dialler, listener] = endpoints(&network);
    let serving = tokio::spawn(echo_one(listener.clone()));
    network.loss(0.1);
    network.delay(Duration::from_millis(25));

    let start = Instant::now();
    let connection = dialler.connect(addr(2), &server_name(None)).unwrap().await.unwrap();
    let sent: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    assert!(echo(&connection, &sent).await == sent, "the echo differs");
    assert!(start.elapsed() >= Duration::from_millis(100), "delays must cost virtual time");
    assert!(connection.stats().path.lost_packets > 0, "nothing was lost");
    connection.close(0u8.into(), b"");
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn quinn_stalls_in_a_partition_and_goes_on_after_it() {
    let network = MemoryNetwork::new(42);
    let [dialler, listener] = endpoints(&network);
    let _serving = tokio::spawn(echo_one(listener.clone()));

    network.partition(addr(1), addr(2));
    let connecting = dialler.connect(addr(2), &server_name(None)).unwrap();
    tokio::pin!(connecting);
    assert!(timeout(Duration::from_secs(5), &mut connecting).await.is_err());
    network.heal();
    let connection = timeout(Duration::from_secs(10), connecting).await.unwrap().unwrap();
    assert_eq!(echo(&connection, b"before").await, b"before");

    network.partition(addr(1), addr(2));
    let echoing = echo(&connection, b"during");
    tokio::pin!(echoing);
    assert!(timeout(Duration::from_secs(5), &mut echoing).await.is_err());
    network.heal();
    assert_eq!(timeout(Duration::from_secs(10), echoing).await.unwrap(), b"during");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_endpoint_frees_its_address() {
    let network = MemoryNetwork::new(42);
    let [dialler, listener] = endpoints(&network);
    drop((dialler, listener));
    // The endpoint's driver holds the socket; it ends once it has run.
    for _ in 0..100 {
        if network.bind(addr(1)).is_ok() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the address is still taken");
}

fn endpoints(network: &MemoryNetwork) -> [Endpoint; 2] {
    pair(network).map(|socket| {
        let identity = TlsIdentity::new(&SecretKey::generate()).unwrap();
        let server = quinn::ServerConfig::with_crypto(Arc::new(identity.server().unwrap()));
        let (config, runtime) = (EndpointConfig::default(), Arc::new(TokioRuntime));
        let mut endpoint =
            Endpoint::new_with_abstract_socket(config, Some(server), socket, runtime).unwrap();
        let client = quinn::ClientConfig::new(Arc::new(identity.client().unwrap()));
        endpoint.set_default_client_config(client);
        endpoint
    })
}

/// Sends back what comes on each stream of the first connection, until it ends.
async fn echo_one(listener: Endpoint) {
    let connection = listener.accept().await.unwrap().await.unwrap();
    while let Ok((mut send, mut recv)) = connection.accept_bi().await {
        let content = recv.read_to_end(1 << 20).await.unwrap();
        send.write_all(&content).await.unwrap();
        send.finish().unwrap();
    }
}

async fn echo(connection: &quinn::Connection, content: &[u8]) -> Vec<u8> {
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    let sending = async {
        send.write_all(content).await.unwrap();
        send.finish().unwrap();
    };
    let (_, received) = tokio::join!(sending, recv.read_to_end(1 << 20));
    received.unwrap()
}
