//! Peers that take their time, many at once.

use std::sync::Arc;
use std::time::Duration;

use macula::MemoryNetwork;
use macula::identity::SecretKey;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, Endpoint, EndpointConfig, TransportConfig};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::rude;
use crate::victim::{ADMISSION, PATIENCE, REALM, Victim, address};
use crate::{alone, in_use, peers};

/// What one of them may cost before it has proved anything, with its own end of the connection,
/// which lives on the same heap and is made alike.
const MEMORY: isize = 2 * (64 << 10);
const MS: Duration = Duration::from_millis(1);

/// Connections from one address, each with a key of its own.
struct Crowd {
    endpoint: Endpoint,
    victim: std::net::SocketAddr,
}

impl Crowd {
    fn new(network: &MemoryNetwork, victim: &Victim) -> Self {
        let socket = network.bind(address(200)).unwrap();
        let runtime = Arc::new(quinn::TokioRuntime);
        let config = EndpointConfig::default();
        let endpoint = Endpoint::new_with_abstract_socket(config, None, socket, runtime).unwrap();
        Self { endpoint, victim: victim.mesh.addr() }
    }

    async fn connect(&self) -> Result<Connection, ConnectionError> {
        let tls = QuicClientConfig::try_from(rude::tls(&SecretKey::generate(), true)).unwrap();
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        let mut transport = TransportConfig::default();
        // Every packet is as long as can be, whatever is in it.
        transport.pad_to_mtu(true);
        config.transport_config(Arc::new(transport));
        self.endpoint.connect_with(config, self.victim, "any.macula").unwrap().await
    }
}

/// Says what it has to say a byte at a time, or nothing at all, or small things that nobody asked
/// for.
async fn dawdle(number: usize, connection: Connection) -> (Duration, ConnectionError) {
    let began = Instant::now();
    let hello = rude::hello(REALM, &[7; 32]);
    let said = [&50_u32.to_le_bytes()[..], &hello].concat();
    let dawdling = async {
        let Ok((mut send, _recv)) = connection.open_bi().await else { return };
        match number % 3 {
            0 => {}
            1 => {
                for byte in said {
                    sleep(ADMISSION / 20).await;
                    let _ = send.write_all(&[byte]).await;
                }
            }
            _ => {
                for _ in 0..300 {
                    sleep(MS).await;
                    let _ = connection.send_datagram(vec![9].into());
                }
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        () = dawdling => panic!("no stream"),
        end = connection.closed() => (began.elapsed(), end),
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_that_take_their_time_are_sent_away_in_time() {
    let _alone = alone().await;
    let crowd = peers(1000);
    let victim = Victim::with(|limits| limits.max_admissions = crowd + 1).await;
    let door = Arc::new(Crowd::new(&victim.network, &victim));
    let memory = in_use();
    let mut dawdlers = JoinSet::new();
    for number in 0..crowd {
        let connection = timeout(PATIENCE, door.connect()).await.unwrap().unwrap();
        dawdlers.spawn(dawdle(number, connection));
    }
    let began = Instant::now();
    sleep(ADMISSION / 2).await;
    let each = (in_use() - memory) / crowd as isize;
    println!("{crowd} peers, {each} bytes each, both ends");
    assert!(each < MEMORY, "{each} bytes each");
    // Whoever is a member notices nothing.
    while began.elapsed() < ADMISSION {
        let asked = Instant::now();
        victim.is_well(0).await;
        assert!(asked.elapsed() < 10 * MS, "{:?}", asked.elapsed());
        sleep(50 * MS).await;
    }
    let mut ends = 0;
    while let Some(ended) = timeout(PATIENCE, dawdlers.join_next()).await.expect("one stays") {
        let (took, end) = ended.unwrap();
        assert!(
            matches!(&end, ConnectionError::ApplicationClosed(close)
            if close.error_code == 1_u32.into() && close.reason.is_empty()),
            "{end:?}"
        );
        assert!(took < 2 * ADMISSION, "{took:?}");
        ends += 1;
    }
    assert_eq!(ends, crowd);
    victim.is_well(0).await;
}
