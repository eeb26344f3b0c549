//! Headers of LiveKit data-track packets (version 0): reading, writing, and giving a copy another handle.
//!
//! Big-endian: version(3) first(1) last(1) extended(1) reserved(10), u16 handle, u16 sequence, u16 frame,
//! u32 timestamp (90 kHz). Extended headers go on with u16 `n`, which with what follows it fills `(n + 1) * 4` bytes:
//! items of u8 tag, u8 length and value, then zeros. The payload may be encrypted from end to end; it is never read.

/// Bytes of a header without extensions.
pub const HEADER_BYTES: usize = 12;
/// Ticks per second of [`Header::timestamp`].
pub const CLOCK_RATE: u32 = 90_000;

const FIRST: u8 = 1 << 4;
const LAST: u8 = 1 << 3;
const EXTENDED: u8 = 1 << 2;
const HANDLE_AT: usize = 2;

const TAG_PADDING: u8 = 0;
const TAG_ENCRYPTION: u8 = 1;
const TAG_USER_TIMESTAMP: u8 = 2;

/// What a packet says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The first packet of its frame.
    pub first: bool,
    /// The last packet of its frame.
    pub last: bool,
    /// The track: the publisher's own number on the way to the server, the subscriber's on the way from it. Never 0.
    pub handle: u16,
    /// Counts packets, wrapping.
    pub sequence: u16,
    /// Counts frames, wrapping.
    pub frame: u16,
    /// When the frame was made, in [`CLOCK_RATE`] ticks from an arbitrary moment, wrapping.
    pub timestamp: u32,
}

/// Optional parts of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions {
    /// A moment or number of the application's own.
    pub user_timestamp: Option<u64>,
    /// The payload is encrypted from end to end, with this.
    pub encryption: Option<Encryption>,
}

/// What the receiver of an encrypted payload needs beside the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encryption {
    /// Which of the sender's keys.
    pub key_index: u8,
    /// Initialisation vector of AES-GCM.
    pub iv: [u8; 12],
}

/// Why a packet is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than its header.
    Truncated,
    /// Of a version we do not know.
    Version(u8),
    /// Handle 0.
    Handle,
    /// An extension is longer than there is room.
    Extension(u8),
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated => f.write_str("truncated header"),
            Self::Version(version) => write!(f, "unknown version {version}"),
            Self::Handle => f.write_str("handle 0"),
            Self::Extension(tag) => write!(f, "extension {tag} overruns"),
        }
    }
}

impl std::error::Error for Malformed {}

/// A packet taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it says of itself.
    pub header: Header,
    /// The unread extension items, possibly empty.
    pub extensions: &'a [u8],
    /// Part of a frame.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Takes a packet apart, without looking into extensions or payload.
    ///
    /// # Errors
    ///
    /// The packet is shorter than its header, of another version, or of no track.
    pub fn parse(packet: &'a [u8]) -> Result<Self, Malformed> {
        let Some((base, rest)) = packet.split_first_chunk::<HEADER_BYTES>() else {
            return Err(Malformed::Truncated);
        };
        let [flags, _, h0, h1, s0, s1, f0, f1, t0, t1, t2, t3] = *base;
        let version = flags >> 5;
        if version != 0 {
            return Err(Malformed::Version(version));
        }
        let header = Header {
            first: flags & FIRST != 0,
            last: flags & LAST != 0,
            handle: u16::from_be_bytes([h0, h1]),
            sequence: u16::from_be_bytes([s0, s1]),
            frame: u16::from_be_bytes([f0, f1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        };
        if header.handle == 0 {
            return Err(Malformed::Handle);
        }
        if flags & EXTENDED == 0 {
            return Ok(Self { header, extensions: &[], payload: rest });
        }
        let (words, rest) = rest.split_first_chunk::<2>().ok_or(Malformed::Truncated)?;
        let bytes = usize::from(u16::from_be_bytes(*words)) * 4 + 2;
        let (extensions, payload) = rest.split_at_checked(bytes).ok_or(Malformed::Truncated)?;
        Ok(Self { header, extensions, payload })
    }

    /// Reads the extensions; unknown ones are passed over.
    ///
    /// # Errors
    ///
    /// An item is longer than what is left, or shorter than its kind needs.
    pub fn read_extensions(&self) -> Result<Extensions, Malformed> {
        let mut found = Extensions::default();
        let mut rest = self.extensions;
        while let [tag, length, after @ ..] = rest {
            rest = after;
            if *tag == TAG_PADDING {
                continue;
            }
            let malformed = Malformed::Extension(*tag);
            let (value, after) = rest.split_at_checked(usize::from(*length)).ok_or(malformed)?;
            rest = after;
            match *tag {
                TAG_ENCRYPTION => {
                    let [key_index, iv @ ..] = value.first_chunk::<13>().ok_or(malformed)?;
                    found.encryption = Some(Encryption { key_index: *key_index, iv: *iv });
                }
                TAG_USER_TIMESTAMP => {
                    let value = value.first_chunk::<8>().ok_or(malformed)?;
                    found.user_timestamp = Some(u64::from_be_bytes(*value));
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

/// Gives a packet that parsed another handle. Does nothing to what is too short.
pub fn set_handle(packet: &mut [u8], handle: u16) {
    if let Some(place) = packet.get_mut(HANDLE_AT..HANDLE_AT + 2) {
        place.copy_from_slice(&handle.to_be_bytes());
    }
}

/// Bytes that [`write`] adds in front of a payload.
#[must_use]
pub fn header_bytes(extensions: &Extensions) -> usize {
    let items = item_bytes(extensions);
    // The count of words is itself part of the first word.
    if items == 0 { HEADER_BYTES } else { HEADER_BYTES + (2 + items).next_multiple_of(4) }
}

fn item_bytes(extensions: &Extensions) -> usize {
    let encryption = if extensions.encryption.is_some() { 2 + 13 } else { 0 };
    let user_timestamp = if extensions.user_timestamp.is_some() { 2 + 8 } else { 0 };
    encryption + user_timestamp
}

/// Appends a header.
pub fn write(header: &Header, extensions: &Extensions, out: &mut Vec<u8>) {
    let length = header_bytes(extensions);
    let end = out.len() + length;
    out.reserve(length);
    let is_extended = length > HEADER_BYTES;
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.push(flag(header.first, FIRST) | flag(header.last, LAST) | flag(is_extended, EXTENDED));
    out.push(0);
    for number in [header.handle, header.sequence, header.frame] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&header.timestamp.to_be_bytes());
    if !is_extended {
        return;
    }
    let words = u16::try_from((length - HEADER_BYTES) / 4 - 1).expect("a few words");
    out.extend_from_slice(&words.to_be_bytes());
    if let Some(Encryption { key_index, iv }) = &extensions.encryption {
        out.extend_from_slice(&[TAG_ENCRYPTION, 13, *key_index]);
        out.extend_from_slice(iv);
    }
    if let Some(moment) = extensions.user_timestamp {
        out.extend_from_slice(&[TAG_USER_TIMESTAMP, 8]);
        out.extend_from_slice(&moment.to_be_bytes());
    }
    out.resize(end, TAG_PADDING);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: Header =
        Header { first: true, last: false, handle: 0x8811, sequence: 0x4422, frame: 0x4411, timestamp: 7 };

    #[test]
    fn the_bytes_are_those_of_livekits_clients() {
        // livekit-client 2.23: data-track/packet/index.test.ts spells both out.
        let mut plain = Vec::new();
        write(&HEADER, &Extensions::default(), &mut plain);
        assert_eq!(plain, [0x10, 0, 0x88, 0x11, 0x44, 0x22, 0x44, 0x11, 0, 0, 0, 7]);

        let extensions = Extensions {
            user_timestamp: Some(0x0102_0304_0506_0708),
            encryption: Some(Encryption { key_index: 0xfa, iv: [0x3c; 12] }),
        };
        let mut extended = Vec::new();
        write(&Header { last: true, ..HEADER }, &extensions, &mut extended);
        let mut expected = vec![0x1c, 0, 0x88, 0x11, 0x44, 0x22, 0x44, 0x11, 0, 0, 0, 7];
        expected.extend([0, 6, 1, 13, 0xfa]);
        expected.extend([0x3c; 12]);
        expected.extend([2, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0]);
        assert_eq!(extended, expected);
        let packet = Packet::parse(&extended).unwrap();
        assert_eq!(packet.read_extensions(), Ok(extensions));
        assert!(packet.payload.is_empty());
    }

    #[test]
    fn what_is_no_packet_says_why() {
        let whole = [0x1c, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for length in 0..whole.len() {
            assert_eq!(Packet::parse(&whole[..length]), Err(Malformed::Truncated), "{length}");
        }
        assert!(Packet::parse(&whole).is_ok());
        let but = |at: usize, byte: u8| {
            let mut packet = whole;
            packet[at] = byte;
            packet
        };
        assert_eq!(Packet::parse(&but(0, 0x3c)), Err(Malformed::Version(1)));
        assert_eq!(Packet::parse(&but(3, 0)), Err(Malformed::Handle));
        assert_eq!(Packet::parse(&but(13, 1)), Err(Malformed::Truncated), "more words than bytes");
        let short_item = but(14, TAG_USER_TIMESTAMP);
        assert_eq!(Packet::parse(&short_item).unwrap().read_extensions(), Err(Malformed::Extension(2)));
        assert_eq!(Packet::parse(&but(14, 200)).unwrap().read_extensions(), Ok(Extensions::default()));
    }

    #[test]
    fn a_copy_differs_in_its_handle_alone() {
        let mut packet = Vec::new();
        write(&HEADER, &Extensions { user_timestamp: Some(1), encryption: None }, &mut packet);
        packet.extend(b"payload");
        let before = packet.clone();
        set_handle(&mut packet, 9);
        let parsed = Packet::parse(&packet).unwrap();
        assert_eq!(parsed.header, Header { handle: 9, ..HEADER });
        assert_eq!(parsed.payload, b"payload");
        assert_eq!(packet[4..], before[4..]);
        set_handle(&mut [1, 2, 3], 9);
    }

    proptest! {
        #[test]
        fn hostile_packets_never_panic(packet in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(parsed) = Packet::parse(&packet) {
                let _ = parsed.read_extensions();
                prop_assert!(parsed.extensions.len() + parsed.payload.len() + HEADER_BYTES <= packet.len());
            }
        }

        #[test]
        fn what_is_written_is_read(
            (first, last, handle, sequence, frame, timestamp) in
                (any::<bool>(), any::<bool>(), 1_u16.., any::<u16>(), any::<u16>(), any::<u32>()),
            user_timestamp in any::<Option<u64>>(),
            key in any::<Option<(u8, [u8; 12])>>(),
            payload in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let header = Header { first, last, handle, sequence, frame, timestamp };
            let encryption = key.map(|(key_index, iv)| Encryption { key_index, iv });
            let extensions = Extensions { user_timestamp, encryption };
            let mut packet = Vec::new();
            write(&header, &extensions, &mut packet);
            prop_assert_eq!(packet.len(), header_bytes(&extensions));
            packet.extend(&payload);
            let parsed = Packet::parse(&packet).unwrap();
            prop_assert_eq!(parsed.header, header);
            prop_assert_eq!(parsed.read_extensions(), Ok(extensions));
            prop_assert_eq!(parsed.payload, &payload[..]);
        }
    }
}
