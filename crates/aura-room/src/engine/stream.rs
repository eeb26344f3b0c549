//! Data streams: cutting text and bytes into packets, and putting them together again.
//!
//! Everything received is bounded: streams at once, bytes per stream, time between chunks. A stream that breaks a rule
//! is forgotten, silently for the sender.

use std::collections::HashMap;
use std::io::Read;
use std::time::{Duration, Instant};

use bytes::Bytes;
use livekit_protocol::data_packet::Value;
use livekit_protocol::data_stream::{ByteHeader, Chunk, Header, TextHeader, Trailer, header::ContentHeader};

use crate::event::{BytesMessage, TextMessage};

/// Largest chunk sent, in bytes.
const CHUNK_BYTES: usize = 15_000;
/// Streams that may be open at once, from everybody together.
const MAX_OPEN: usize = 256;
/// A stream is forgotten when its next chunk takes longer.
const IDLE: Duration = Duration::from_secs(60);
/// Raw DEFLATE, in [`Header::compression`].
const DEFLATE_RAW: i32 = 1;

/// What to send as a stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamMeta {
    pub(crate) id: String,
    pub(crate) topic: String,
    pub(crate) timestamp_ms: i64,
    pub(crate) attributes: HashMap<String, String>,
    /// File name and MIME type; text has none.
    pub(crate) file: Option<(String, String)>,
}

/// The packets of one stream, in order. Text is cut between characters.
pub(crate) fn packets(meta: StreamMeta, payload: &[u8]) -> Vec<Value> {
    let is_text = meta.file.is_none();
    let (mime_type, content_header) = match meta.file {
        Some((name, mime_type)) => (mime_type, ContentHeader::ByteHeader(ByteHeader { name })),
        None => ("text/plain".to_owned(), ContentHeader::TextHeader(TextHeader::default())),
    };
    let header = Header {
        stream_id: meta.id.clone(),
        timestamp: meta.timestamp_ms,
        topic: meta.topic,
        mime_type,
        total_length: Some(payload.len() as u64),
        attributes: meta.attributes,
        content_header: Some(content_header),
        ..Header::default()
    };
    let mut packets = vec![Value::StreamHeader(header)];
    let mut rest = payload;
    for index in 0.. {
        if rest.is_empty() {
            break;
        }
        let mut end = rest.len().min(CHUNK_BYTES);
        while is_text && end < rest.len() && end > 0 && rest[end] & 0xc0 == 0x80 {
            end -= 1;
        }
        let (content, tail) = rest.split_at(end);
        rest = tail;
        packets.push(Value::StreamChunk(Chunk {
            stream_id: meta.id.clone(),
            chunk_index: index,
            content: content.to_vec(),
            ..Chunk::default()
        }));
    }
    packets.push(Value::StreamTrailer(Trailer { stream_id: meta.id, ..Trailer::default() }));
    packets
}

/// A stream that arrived whole.
#[derive(Debug, PartialEq)]
pub(crate) enum Completed {
    Text(TextMessage),
    Bytes(BytesMessage),
}

#[derive(Debug)]
struct Open {
    header: Header,
    from: String,
    content: Vec<u8>,
    next_chunk: u64,
    touched: Instant,
}

/// Streams on their way to us.
#[derive(Debug)]
pub(crate) struct Assembler {
    open: HashMap<String, Open>,
    max_bytes: usize,
}

impl Assembler {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { open: HashMap::new(), max_bytes }
    }

    /// Content that travels inside the header completes at once.
    pub(crate) fn header(&mut self, from: &str, mut header: Header, now: Instant) -> Option<Completed> {
        self.open.retain(|_, open| now < open.touched + IDLE);
        if header.total_length.is_some_and(|length| length > self.max_bytes as u64) {
            tracing::warn!(stream.id = header.stream_id, "data stream is too long, ignored");
            return None;
        }
        if let Some(content) = header.inline_content.take() {
            let open = Open { header, from: from.to_owned(), content, next_chunk: 0, touched: now };
            return self.complete(open, HashMap::new());
        }
        if self.open.len() >= MAX_OPEN {
            tracing::warn!(stream.id = header.stream_id, "too many data streams, ignored");
            return None;
        }
        let id = header.stream_id.clone();
        let open = Open { header, from: from.to_owned(), content: Vec::new(), next_chunk: 0, touched: now };
        self.open.insert(id, open);
        None
    }

    pub(crate) fn chunk(&mut self, from: &str, chunk: &Chunk, now: Instant) {
        let Some(open) = self.open.get_mut(&chunk.stream_id).filter(|open| open.from == from) else { return };
        let fits = open.content.len() + chunk.content.len() <= self.max_bytes;
        if chunk.chunk_index != open.next_chunk || !fits {
            tracing::warn!(stream.id = chunk.stream_id, "broken data stream, forgotten");
            self.open.remove(&chunk.stream_id);
            return;
        }
        open.content.extend_from_slice(&chunk.content);
        open.next_chunk += 1;
        open.touched = now;
    }

    pub(crate) fn trailer(&mut self, from: &str, trailer: Trailer) -> Option<Completed> {
        self.open.get(&trailer.stream_id).filter(|open| open.from == from)?;
        let open = self.open.remove(&trailer.stream_id)?;
        if !trailer.reason.is_empty() {
            return None;
        }
        self.complete(open, trailer.attributes)
    }

    /// Streams of someone who left will not be finished.
    pub(crate) fn disconnected(&mut self, identity: &str) {
        self.open.retain(|_, open| open.from != identity);
    }

    fn complete(&self, open: Open, trailer: HashMap<String, String>) -> Option<Completed> {
        let Open { header, from, mut content, .. } = open;
        if header.compression == DEFLATE_RAW {
            content = inflate(&content, self.max_bytes)?;
        }
        if header.total_length.is_some_and(|length| length != content.len() as u64) {
            tracing::warn!(stream.id = header.stream_id, "data stream has the wrong length, ignored");
            return None;
        }
        let mut attributes = header.attributes;
        attributes.extend(trailer);
        match header.content_header {
            Some(ContentHeader::ByteHeader(file)) => Some(Completed::Bytes(BytesMessage {
                id: header.stream_id,
                topic: header.topic,
                name: file.name,
                mime_type: header.mime_type,
                payload: Bytes::from(content),
                from,
                timestamp_ms: header.timestamp,
                attributes,
            })),
            Some(ContentHeader::TextHeader(_)) | None => Some(Completed::Text(TextMessage {
                id: header.stream_id,
                topic: header.topic,
                text: String::from_utf8(content).ok()?,
                from,
                timestamp_ms: header.timestamp,
                attributes,
            })),
        }
    }
}

fn inflate(content: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut inflated = Vec::new();
    let mut reader = flate2::read::DeflateDecoder::new(content).take(limit as u64 + 1);
    reader.read_to_end(&mut inflated).ok()?;
    (inflated.len() <= limit).then_some(inflated)
}

#[cfg(test)]
mod tests {
    use aura_types::{Clock, SystemClock};

    use super::*;

    fn feed(assembler: &mut Assembler, from: &str, packets: Vec<Value>, now: Instant) -> Vec<Completed> {
        packets
            .into_iter()
            .filter_map(|packet| match packet {
                Value::StreamHeader(header) => assembler.header(from, header, now),
                Value::StreamChunk(chunk) => {
                    assembler.chunk(from, &chunk, now);
                    None
                }
                Value::StreamTrailer(trailer) => assembler.trailer(from, trailer),
                _ => None,
            })
            .collect()
    }

    fn text_meta() -> StreamMeta {
        StreamMeta { id: "s1".into(), topic: "lk.chat".into(), timestamp_ms: 7, ..StreamMeta::default() }
    }

    #[test]
    fn text_survives_the_journey_whatever_its_length() {
        let now = SystemClock.monotonic();
        for text in ["", "hello", &"é".repeat(20_001)] {
            let sent = packets(text_meta(), text.as_bytes());
            for packet in &sent {
                if let Value::StreamChunk(chunk) = packet {
                    assert!(chunk.content.len() <= CHUNK_BYTES);
                    assert!(std::str::from_utf8(&chunk.content).is_ok(), "cut inside a character");
                }
            }
            let mut assembler = Assembler::new(1 << 20);
            let received = feed(&mut assembler, "ann", sent, now);
            let [Completed::Text(message)] = &received[..] else { panic!("{received:?}") };
            assert_eq!(
                (message.text.as_str(), message.from.as_str(), message.topic.as_str()),
                (text, "ann", "lk.chat")
            );
        }
    }

    #[test]
    fn bytes_keep_name_and_type() {
        let meta = StreamMeta { file: Some(("a.png".into(), "image/png".into())), ..text_meta() };
        let payload = vec![0x80; 31_000];
        let received =
            feed(&mut Assembler::new(1 << 20), "ann", packets(meta, &payload), SystemClock.monotonic());
        let [Completed::Bytes(message)] = &received[..] else { panic!("{received:?}") };
        assert_eq!((message.name.as_str(), message.mime_type.as_str()), ("a.png", "image/png"));
        assert_eq!(message.payload, payload);
    }

    #[test]
    fn foreign_lost_and_oversized_chunks_break_a_stream() {
        let now = SystemClock.monotonic();
        let mut missing = packets(text_meta(), "x".repeat(40_000).as_bytes());
        missing.remove(2);
        assert!(feed(&mut Assembler::new(1 << 20), "ann", missing, now).is_empty());

        let sent = packets(text_meta(), b"hello");
        let mut assembler = Assembler::new(1 << 20);
        assembler.header("ann", Header { stream_id: "s1".into(), ..Header::default() }, now);
        let Value::StreamChunk(chunk) = &sent[1] else { panic!() };
        assembler.chunk("eve", chunk, now);
        assert_eq!(assembler.open["s1"].content.len(), 0, "only the opener may add to a stream");

        assert!(feed(&mut Assembler::new(4), "ann", sent, now).is_empty(), "too long");
    }

    #[test]
    fn inline_and_compressed_content_completes_with_the_header() {
        use std::io::Write;
        let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        deflate.write_all(b"hello hello").expect("in memory");
        let header = Header {
            stream_id: "s".into(),
            inline_content: Some(deflate.finish().expect("in memory")),
            compression: DEFLATE_RAW,
            total_length: Some(11),
            ..Header::default()
        };
        let completed = Assembler::new(64).header("ann", header, SystemClock.monotonic());
        assert!(matches!(completed, Some(Completed::Text(message)) if message.text == "hello hello"));
    }

    #[test]
    fn idle_streams_and_leavers_streams_are_forgotten() {
        let now = SystemClock.monotonic();
        let mut assembler = Assembler::new(64);
        let header = |id: &str| Header { stream_id: id.into(), ..Header::default() };
        assembler.header("ann", header("a"), now);
        assembler.header("bob", header("b"), now);
        assembler.disconnected("bob");
        assert_eq!(assembler.open.len(), 1);
        assembler.header("carol", header("c"), now + IDLE);
        assert!(!assembler.open.contains_key("a"));
    }
}
