//! Admission: how two connected peers prove to each other that they belong to the realm.
//!
//! The dialler opens the one stream it may open and sends `Hello` with its proof; the listener
//! checks it, answers `Welcome` with its own, and introduces itself; then the dialler does. The
//! proofs are keyed by the cookie and bound to this very TLS session, so that they cannot be
//! relayed. The listener says nothing at all to a dialler whose proof does not hold: the connection
//! is closed with a bare code, and the reason stays in our log.

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendStream, VarInt};

use crate::identity::NodeId;
use crate::identity::realm::{Realm, Role};
use crate::identity::tls::peer_id;
use crate::limits;
use crate::wire::{Hello, Introduction, VERSION, Welcome, WireError, put_frame};

/// The code with which a peer is sent away, whatever the reason.
pub(crate) const CLOSE_REFUSED: VarInt = VarInt::from_u32(1);
/// The label under which both sides derive the value that their proofs are bound to.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-macula-admission";

/// Why a peer was not admitted, or did not admit us.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum AdmissionError {
    #[error("the connection failed: {0}")]
    Connection(#[from] quinn::ConnectionError),
    #[error("it closed the connection during admission: are realm and cookie the same there?")]
    ClosedByPeer,
    #[error("it has no key of its own")]
    NoIdentity,
    #[error("it has this node's own key: no two nodes may share an identity")]
    OwnKey,
    #[error("it belongs to another realm")]
    OtherRealm,
    #[error("its cookie is not that of this realm")]
    WrongCookie,
    #[error("it speaks versions {0} to {1} of the protocol, and this node speaks {VERSION}")]
    Version(u16, u16),
    #[error("it introduced itself as {0}, which is not its key")]
    FalseName(NodeId),
    #[error("it sent something else than a handshake: {0}")]
    Wire(#[from] WireError),
    #[error("it took too long to prove itself")]
    TooSlow,
}

/// An admitted peer: what it said of itself, and the stream that becomes the lane.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) introduction: Introduction,
    /// We asked it for its member table.
    pub(crate) asked: bool,
    /// What the lane has to begin with: our own introduction, if it has not been sent.
    pub(crate) first: Vec<u8>,
    pub(crate) lane: (SendStream, RecvStream),
}

/// Proves ourselves to the node that we dialled, and has it prove itself.
pub(crate) async fn dial(
    connection: &Connection,
    realm: &Realm,
    me: &Introduction,
) -> Result<Admitted, AdmissionError> {
    deaf(connection, prove_first(connection, realm, me)).await
}

/// Has the node that dialled us prove itself, then proves ourselves to it.
pub(crate) async fn listen(
    connection: &Connection,
    realm: &Realm,
    me: &Introduction,
) -> Result<Admitted, AdmissionError> {
    deaf(connection, prove_second(connection, realm, me)).await
}

async fn prove_first(
    connection: &Connection,
    realm: &Realm,
    me: &Introduction,
) -> Result<Admitted, AdmissionError> {
    let peer = peer_id(connection).ok_or(AdmissionError::NoIdentity)?;
    let exporter = exporter(connection)?;
    let ours = me.member.id;
    let (mut send, mut recv) = connection.open_bi().await?;
    let proof = realm.prove(Role::Dialler, &exporter, ours, peer);
    let hello = Hello { versions: (VERSION, VERSION), realm: realm.tag(), proof };
    let mut frame = Vec::new();
    put_frame(&mut frame, |out| hello.encode(out));
    write(&mut send, &frame).await?;
    let welcome = Welcome::decode(read(&mut recv, Welcome::LENGTH).await?)?;
    if welcome.version != VERSION {
        return Err(AdmissionError::Version(welcome.version, welcome.version));
    }
    if !realm.verify(Role::Listener, &exporter, peer, ours, &welcome.proof) {
        return Err(AdmissionError::WrongCookie);
    }
    let introduction = introduced(&mut recv, peer).await?;
    // It leaves together with what is said next: a greeting, and mostly a request.
    let mut first = Vec::new();
    put_frame(&mut first, |out| me.encode(out));
    raise_limits(connection);
    Ok(Admitted { introduction, asked: me.joining, first, lane: (send, recv) })
}

async fn prove_second(
    connection: &Connection,
    realm: &Realm,
    me: &Introduction,
) -> Result<Admitted, AdmissionError> {
    let peer = peer_id(connection).ok_or(AdmissionError::NoIdentity)?;
    let exporter = exporter(connection)?;
    let ours = me.member.id;
    if peer == ours {
        return Err(AdmissionError::OwnKey);
    }
    let (mut send, mut recv) = connection.accept_bi().await?;
    let hello = Hello::decode(read(&mut recv, Hello::LENGTH).await?)?;
    if hello.realm != realm.tag() {
        return Err(AdmissionError::OtherRealm);
    }
    if !realm.verify(Role::Dialler, &exporter, peer, ours, &hello.proof) {
        return Err(AdmissionError::WrongCookie);
    }
    if !(hello.versions.0..=hello.versions.1).contains(&VERSION) {
        return Err(AdmissionError::Version(hello.versions.0, hello.versions.1));
    }
    let proof = realm.prove(Role::Listener, &exporter, ours, peer);
    let mut frames = Vec::new();
    put_frame(&mut frames, |out| Welcome { version: VERSION, proof }.encode(out));
    put_frame(&mut frames, |out| me.encode(out));
    write(&mut send, &frames).await?;
    let introduction = introduced(&mut recv, peer).await?;
    raise_limits(connection);
    Ok(Admitted { introduction, asked: me.joining, first: Vec::new(), lane: (send, recv) })
}

/// Throws away the datagrams that come before the peer is admitted. Left where they are, each would
/// hold the whole packet in which it came, which may be a thousand times as long.
async fn deaf<T>(connection: &Connection, admission: impl Future<Output = T>) -> T {
    let discard = async {
        while connection.read_datagram().await.is_ok() {}
        std::future::pending().await
    };
    tokio::select! {
        // What comes together with the last of the handshake is for whoever comes after it.
        biased;
        admitted = admission => admitted,
        never = discard => never,
    }
}

async fn introduced(recv: &mut RecvStream, peer: NodeId) -> Result<Introduction, AdmissionError> {
    let frame = read(recv, Introduction::LENGTH).await?;
    let introduction = Introduction::decode(&frame)?;
    if introduction.member.id != peer {
        return Err(AdmissionError::FalseName(introduction.member.id));
    }
    Ok(introduction)
}

/// Gives a peer the room of a member.
fn raise_limits(connection: &Connection) {
    connection.set_receive_window(VarInt::from_u32(limits::ADMITTED_WINDOW));
    connection.set_max_concurrent_uni_streams(VarInt::from_u32(limits::BODY_STREAMS));
}

fn exporter(connection: &Connection) -> Result<[u8; 32], AdmissionError> {
    let mut value = [0; 32];
    connection
        .export_keying_material(&mut value, EXPORTER_LABEL, b"")
        .map_err(|_| AdmissionError::NoIdentity)?;
    Ok(value)
}

async fn write(stream: &mut SendStream, frames: &[u8]) -> Result<(), AdmissionError> {
    stream.write_all(frames).await.map_err(|_| AdmissionError::ClosedByPeer)
}

/// Reads one frame, and not a byte beyond it.
async fn read(stream: &mut RecvStream, limit: usize) -> Result<Bytes, AdmissionError> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).await.map_err(|_| AdmissionError::ClosedByPeer)?;
    let length = u32::from_le_bytes(prefix) as usize;
    if length > limit {
        return Err(WireError::FrameTooLong { length, limit }.into());
    }
    let mut content = vec![0; length];
    stream.read_exact(&mut content).await.map_err(|_| AdmissionError::ClosedByPeer)?;
    Ok(content.into())
}
