//! AuraIDs: `@name.aura`, one for every user, made from the display name.
//!
//! Uniqueness is the database's; this proposes names until one is free. Reserved names are never given out bare.

/// With the longest number behind it a name has 32 characters, as many as the column takes.
const MAX_NAME: usize = 23;
/// Names that would pass for the platform speaking.
const RESERVED: [&str; 14] = [
    "admin",
    "administrator",
    "aura",
    "auralink",
    "guest",
    "help",
    "host",
    "info",
    "mod",
    "root",
    "security",
    "support",
    "system",
    "team",
];

/// Proposals tried before giving up; the random ones make that practically impossible.
pub(crate) const MAX_ATTEMPTS: u32 = 12;

/// The name part for a display name: lower-case ASCII letters, digits and single hyphens.
pub(crate) fn base(display_name: &str) -> String {
    let mut name = String::with_capacity(MAX_NAME);
    for c in display_name.chars().flat_map(char::to_lowercase) {
        if name.len() >= MAX_NAME {
            break;
        }
        match plain(c) {
            Some(letters) => name.push_str(letters),
            None if c.is_ascii_alphanumeric() => name.push(c),
            None if !name.is_empty()
                && !name.ends_with('-')
                && !matches!(c, '\'' | '’' | '\u{300}'..='\u{36f}') =>
            {
                name.push('-');
            }
            None => {}
        }
    }
    name.truncate(MAX_NAME);
    let name = name.trim_end_matches('-');
    if name.is_empty() { "user".to_owned() } else { name.to_owned() }
}

/// The `attempt`-th proposal: `@alice.aura`, `@alice-2.aura` … then with a random number.
pub(crate) fn proposal(base: &str, attempt: u32, random: u32) -> String {
    match attempt {
        0 if !RESERVED.contains(&base) => format!("@{base}.aura"),
        0 => format!("@{base}-2.aura"),
        1..=3 => format!("@{base}-{}.aura", attempt + 1),
        4..=7 => format!("@{base}-{}.aura", 10 + random % 9_990),
        _ => format!("@{base}-{}.aura", 100_000 + random % 99_900_000),
    }
}

/// Latin letters people's names use, without their marks.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'ł' | 'ľ' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ō' | 'ő' => "o",
        'ö' | 'ø' | 'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ț' | 'ţ' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_become_plain_names() {
        for (display, name) in [
            ("Alice", "alice"),
            ("Zoë Müller-Groß", "zoe-mueller-gross"),
            ("  O'Brien, Pat! ", "obrien-pat"),
            ("李雷", "user"),
            ("R2-D2", "r2-d2"),
            ("a very long display name that goes on", "a-very-long-display-nam"),
        ] {
            assert_eq!(base(display), name, "{display}");
        }
    }

    #[test]
    fn proposals_differ_and_fit_the_column() {
        let mut seen = std::collections::HashSet::new();
        for attempt in 0..MAX_ATTEMPTS {
            let id = proposal("a-very-long-display-nam", attempt, 3_999_999_999 - attempt);
            assert!(
                id.len() <= "@".len() + 32 + ".aura".len() && id.starts_with('@') && id.ends_with(".aura"),
                "{id}"
            );
            assert!(seen.insert(id));
        }
        assert_eq!(proposal("alice", 0, 7), "@alice.aura");
        assert_eq!(proposal("alice", 1, 7), "@alice-2.aura");
    }

    #[test]
    fn reserved_names_are_never_bare() {
        assert_eq!(proposal("admin", 0, 7), "@admin-2.aura");
    }
}
