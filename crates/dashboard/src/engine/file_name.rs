//! Names of uploaded files: what is kept of the uploader's name, and how it is handed back.
//!
//! The name is a label only. Bytes are stored under generated names, so nothing here can reach a path.

use super::text::is_disruptive;

const MAX_BYTES: usize = 200;

/// The last path component without control characters, leading dots or trailing dots and spaces.
pub(crate) fn sanitise(raw: &str) -> String {
    let last = raw.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last
        .chars()
        .filter(|c| !is_disruptive(*c) && !matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*'))
        .collect();
    let clean = clean.trim().trim_start_matches('.').trim_end_matches(['.', ' ']);
    if clean.is_empty() { "file".to_owned() } else { shorten(clean) }
}

/// Cuts the stem, not the extension.
fn shorten(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= 16 => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let mut end = MAX_BYTES - extension.len();
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &stem[..end])
}

/// `Content-Disposition: attachment` with both spellings of RFC 6266; always a valid header value.
pub(crate) fn attachment(name: &str) -> String {
    let ascii: String = name
        .chars()
        .map(|c| if (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\' | '%') { c } else { '_' })
        .collect();
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cut_off() {
        for (raw, kept) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\system.ini", "system.ini"),
            ("..", "file"),
            (".bashrc", "bashrc"),
            ("a\u{202e}gpj.exe", "agpj.exe"),
            ("x\r\nSet-Cookie: a=b", "xSet-Cookie a=b"),
            ("", "file"),
            ("Bericht März.pdf", "Bericht März.pdf"),
        ] {
            assert_eq!(sanitise(raw), kept, "{raw:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        let name = sanitise(&format!("{}.tar.gz", "ö".repeat(300)));
        assert!(name.len() <= MAX_BYTES && name.ends_with(".gz"));
    }

    #[test]
    fn headers_carry_any_name() {
        assert_eq!(
            attachment("März \"1\".pdf"),
            "attachment; filename=\"M_rz _1_.pdf\"; filename*=UTF-8''M%C3%A4rz%20%221%22.pdf"
        );
    }
}
