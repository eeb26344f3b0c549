//! Text that came from outside, parsed once into types that keep their promise.
//!
//! Every type trims and bounds its length in characters. Names stand in lines beside other things: nothing in them may
//! reorder or break the line, yet they hold what people's names are written with. Messages and descriptions stand in
//! blocks of their own: what right-to-left writers and other systems put into text is text.

use aura_types::{Coded, ErrorCode};
use std::borrow::Cow;

/// A value a caller sent that does not fit its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub(crate) struct Invalid {
    pub(crate) field: Cow<'static, str>,
    pub(crate) message: String,
}

impl Invalid {
    pub(crate) fn new(field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl Coded for Invalid {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidArgument
    }

    fn safe_message(&self) -> String {
        self.message.clone()
    }

    fn field(&self) -> Option<&str> {
        Some(&self.field)
    }
}

/// Characters that override the direction of whatever follows, or embed it, until taken back: nothing people write with,
/// and the way names are made to read as others.
fn overrides_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}')
}

/// Characters that change how the text around them is read.
pub(crate) fn is_disruptive(c: char) -> bool {
    c.is_control()
        || overrides_direction(c)
        || is_mark(c)
        || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Invisible letters of no width that settle which way a bracket or digit beside them reads.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}')
}

/// Letters that show nothing by themselves: Unicode's Default_Ignorable_Code_Point (UAX 44), which tell letters and words
/// apart or join them in Persian, Thai, Korean, Indic scripts and emoji, and the blank pattern of Braille.
const INVISIBLE: [(char, char); 13] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2060}', '\u{2065}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{e0000}', '\u{e0fff}'),
];

fn is_invisible(c: char) -> bool {
    c.is_whitespace() || INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// A name. Marks at its ends, where they say nothing about it and address books like to leave them, are dropped; between
/// its letters they stay. Something of it must be visible.
fn line(field: &'static str, raw: &str, max_chars: usize) -> Result<String, Invalid> {
    let trimmed = raw.trim_matches(|c: char| c.is_whitespace() || is_mark(c));
    let chars = trimmed.chars().count();
    if chars > max_chars || trimmed.chars().all(is_invisible) {
        return Err(Invalid::new(field, format!("must have 1 to {max_chars} characters")));
    }
    if trimmed.chars().any(|c| is_disruptive(c) && !is_mark(c)) {
        return Err(Invalid::new(field, "must not contain control characters"));
    }
    Ok(trimmed.to_owned())
}

/// A text of its own. Line ends are one character whatever system it comes from.
fn paragraph(field: &'static str, raw: &str, max_chars: usize) -> Result<String, Invalid> {
    let text = raw.trim().replace("\r\n", "\n").replace('\r', "\n");
    let chars = text.chars().count();
    if chars == 0 || chars > max_chars {
        return Err(Invalid::new(field, format!("must have 1 to {max_chars} characters")));
    }
    if text.chars().any(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || overrides_direction(c)) {
        return Err(Invalid::new(field, "must not contain control characters"));
    }
    Ok(text)
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $field:literal, $parse:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct $name(String);

        impl $name {
            pub(crate) fn parse(raw: &str) -> Result<Self, Invalid> {
                $parse($field, raw, $max).map(Self)
            }

            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

text_type!(/// What people see of a person. 
    DisplayName, "display_name", line, 80);
text_type!(/// The title of a room.
    RoomName, "name", line, 100);
text_type!(/// A few sentences about a room.
    Description, "description", paragraph, 2000);
text_type!(/// One chat message.
    MessageText, "text", paragraph, 4000);

/// An address one can log in with. Compared without case; kept as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email(String);

impl Email {
    pub(crate) fn parse(raw: &str) -> Result<Self, Invalid> {
        let email = raw.trim();
        let well_formed = email.len() <= 254
            && email.bytes().all(|b| b.is_ascii_graphic())
            && email.split_once('@').is_some_and(|(local, domain)| {
                (1..=64).contains(&local.len())
                    && !domain.contains('@')
                    && domain.contains('.')
                    && labels(domain)
            });
        if well_formed {
            Ok(Self(email.to_owned()))
        } else {
            Err(Invalid::new("email", "must be an e-mail address"))
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The form two spellings of the same address share.
    pub(crate) fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

fn labels(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

/// What a contact search looks for: at least two characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SearchTerm(String);

impl SearchTerm {
    pub(crate) fn parse(raw: &str) -> Result<Self, Invalid> {
        let wrong = || Invalid::new("q", "must have 2 to 254 characters");
        let term = line("q", raw, 254).map_err(|_| wrong())?;
        if term.chars().count() < 2 {
            return Err(wrong());
        }
        Ok(Self(term.to_lowercase()))
    }

    /// Half-open range of the lower-cased names that start with the term, in code point order.
    pub(crate) fn name_range(&self) -> (String, String) {
        (self.0.clone(), format!("{}\u{10ffff}", self.0))
    }

    /// The AuraID meant, `@` and `.aura` being optional.
    pub(crate) fn aura_id(&self) -> String {
        let name = self.0.trim_start_matches('@');
        format!("@{}.aura", name.strip_suffix(".aura").unwrap_or(name))
    }

    pub(crate) fn email(&self) -> Option<Email> {
        Email::parse(&self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(DisplayName::parse("  Zoë ").unwrap().as_str(), "Zoë");
        assert!(DisplayName::parse(" \t ").is_err());
        assert!(DisplayName::parse(&"ä".repeat(80)).is_ok());
        assert!(DisplayName::parse(&"ä".repeat(81)).is_err());
    }

    #[test]
    fn names_cannot_reorder_or_break_a_line() {
        for bad in [
            "a\nb",
            "a\r\nb",
            "a\u{202a}b",
            "a\u{202e}b",
            "a\u{202c}",
            "a\u{0}b",
            "a\u{2066}b",
            "a\u{2069}",
            "a\u{feff}b",
        ] {
            assert!(RoomName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_hold_what_names_are_written_with() {
        for name in [
            "علی\u{200c}رضا", // a non-joiner between the parts of a Persian name
            "രാജന്\u{200d}",    // a joiner that ends a Malayalam one
            "ක්\u{200d}රිෂාන්",   // and inside a Sinhala one
            "Sam 👩\u{200d}🚀",
            "דנה (ת\u{200f}) כהן",
        ] {
            assert_eq!(DisplayName::parse(name).unwrap().as_str(), name, "{name:?}");
        }
        // As copied from a phone's contacts.
        assert_eq!(DisplayName::parse("\u{200e}دانا\u{200f} ").unwrap().as_str(), "دانا");
        for unseen in ["\u{200d}", "\u{200e}\u{200f}", " \u{200c} \u{200d} ", "\u{200b}", "\u{3164}\u{2060}"]
        {
            assert!(DisplayName::parse(unseen).is_err(), "{unseen:?}");
        }
    }

    #[test]
    fn texts_are_taken_as_they_are_written_anywhere() {
        let parse = |text: &str| MessageText::parse(text).map(|text| text.as_str().to_owned());
        assert_eq!(parse("one\r\ntwo\rthree\n\tfour\r\n"), Ok("one\ntwo\nthree\n\tfour".to_owned()));
        for text in
            ["שלום!\u{200f}", "\u{2067}שלום\u{2069} world", "a\u{200e}b\u{2066}c\u{2068}d", "علی\u{200c}رضا"]
        {
            assert_eq!(parse(text), Ok(text.to_owned()), "{text:?}");
            assert!(Description::parse(text).is_ok());
        }
        for bad in ["a\u{202a}b", "one\u{202e}two", "a\u{0}b", "a\u{7}b", "\r\n"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        // Two characters of line end count as the one they are kept as.
        assert!(MessageText::parse(&format!("a{}b", "\r\n".repeat(3998))).is_ok());
    }

    #[test]
    fn emails_need_a_local_part_and_a_domain() {
        assert_eq!(Email::parse(" Ada@Example.org ").unwrap().key(), "ada@example.org");
        for bad in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@org",
            "a b@example.org",
            "a@b@c.org",
            "a@-x.org",
            "a@x..org",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn search_reads_aura_ids_with_and_without_decoration() {
        for raw in ["alice", "@Alice", "alice.aura", "@alice.aura"] {
            assert_eq!(SearchTerm::parse(raw).unwrap().aura_id(), "@alice.aura");
        }
        let (from, to) = SearchTerm::parse("Al").unwrap().name_range();
        assert!(("al".."am").contains(&"alice") && *from <= *"alice" && *to > *"alzheimer" && *to < *"am");
    }
}
