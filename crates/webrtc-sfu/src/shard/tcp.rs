//! ICE-TCP (RFC 6544): frames of a TCP connection (RFC 4571: two bytes of length) to and from the owning shard.
//!
//! The first frame must be a STUN request naming one of our connections; whoever cannot do that within seconds is
//! hung up on. A reader that falls behind loses frames, as it would on UDP.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use aura_service::lifecycle::Lifecycle;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::command::{Command, ShardHandle};
use super::demux::stun_ufrag;
use super::worker::UfragDirectory;

/// Frames that may wait for a slow connection.
const WRITE_QUEUE: usize = 512;
/// Connections that have not proved anything yet.
const MAX_UNPROVEN: usize = 1_024;
const PROOF_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_LIMIT: Duration = Duration::from_secs(60);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Longest frame accepted: a datagram's worth.
const MAX_FRAME: usize = 2_048;

/// Accepts connections until the soft stop.
pub(crate) async fn accept(
    listener: TcpListener,
    shards: Vec<ShardHandle>,
    ufrags: UfragDirectory,
    lifecycle: Lifecycle,
) {
    let unproven = Arc::new(Semaphore::new(MAX_UNPROVEN));
    let stop = lifecycle.soft();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, remote)) = accepted else {
            // Out of descriptors, most likely; trying again at once would spin.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&unproven).try_acquire_owned() else { continue };
        let (shards, ufrags, hard) = (shards.clone(), Arc::clone(&ufrags), lifecycle.hard());
        lifecycle.spawn("ice-tcp", async move {
            let proof = tokio::time::timeout(PROOF_TIMEOUT, prove(stream, &shards, &ufrags)).await;
            drop(permit);
            if let Ok(Some((reader, writer, shard, first))) = proof {
                serve(remote, reader, writer, shard, first, hard).await;
            }
        });
    }
}

type Proven = (BufReader<OwnedReadHalf>, OwnedWriteHalf, ShardHandle, Vec<u8>);

async fn prove(stream: TcpStream, shards: &[ShardHandle], ufrags: &UfragDirectory) -> Option<Proven> {
    stream.set_nodelay(true).ok()?;
    let (reader, writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let first = read_frame(&mut reader).await?;
    let ufrag = stun_ufrag(&first)?;
    let shard = *ufrags.read().unwrap_or_else(PoisonError::into_inner).get(&ufrag)?;
    Some((reader, writer, shards.get(shard)?.clone(), first))
}

async fn serve(
    remote: SocketAddr,
    mut reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    shard: ShardHandle,
    first: Vec<u8>,
    hard: CancellationToken,
) {
    let (frames, queue) = mpsc::channel(WRITE_QUEUE);
    let reading = async {
        shard.send(Command::TcpOpened { remote, writer: frames }).await.ok()?;
        shard.send(Command::TcpFrame { remote, bytes: first }).await.ok()?;
        // ICE consent checks come every few seconds: a silent connection is a dead one.
        while let Ok(Some(bytes)) = tokio::time::timeout(IDLE_LIMIT, read_frame(&mut reader)).await {
            shard.send(Command::TcpFrame { remote, bytes }).await.ok()?;
        }
        Some(())
    };
    tokio::select! {
        _ = reading => {}
        () = write_frames(writer, queue) => {}
        () = hard.cancelled() => {}
    }
    let _ = shard.send(Command::TcpClosed { remote }).await;
}

async fn read_frame(reader: &mut BufReader<OwnedReadHalf>) -> Option<Vec<u8>> {
    let len = usize::from(reader.read_u16().await.ok()?);
    if len == 0 || len > MAX_FRAME {
        return None;
    }
    let mut bytes = vec![0; len];
    reader.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

async fn write_frames(writer: OwnedWriteHalf, mut queue: mpsc::Receiver<Vec<u8>>) {
    let mut writer = BufWriter::new(writer);
    while let Some(frame) = queue.recv().await {
        let mut next = Some(frame);
        while let Some(frame) = next {
            let Ok(len) = u16::try_from(frame.len()) else { break };
            if writer.write_u16(len).await.is_err() || writer.write_all(&frame).await.is_err() {
                return;
            }
            next = queue.try_recv().ok();
        }
        if writer.flush().await.is_err() {
            return;
        }
    }
}
