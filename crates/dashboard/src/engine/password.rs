//! What a password must be: long enough, and not one that is tried first.
//!
//! No composition rules (NIST SP 800-63B §5.1.1.2): length and a refusal of known-bad choices are what helps.

use super::text::Invalid;

const MIN_CHARS: usize = 10;
/// Bounds the work of the hash; nobody types more.
const MAX_BYTES: usize = 512;

/// The most used passwords of at least ten characters, and our own name.
const COMMON: [&str; 40] = [
    "1234567890",
    "0123456789",
    "0987654321",
    "1234567891",
    "12345678910",
    "123456789a",
    "1q2w3e4r5t",
    "1qaz2wsx3edc",
    "3rjs1la7qe",
    "abcd123456",
    "abcdefghij",
    "administrator",
    "auralink123",
    "auralink1234",
    "basketball",
    "changeme123",
    "football123",
    "iloveyou12",
    "iloveyou123",
    "letmein123",
    "password10",
    "password11",
    "password12",
    "password123",
    "password1234",
    "password12345",
    "passw0rd123",
    "princess123",
    "q1w2e3r4t5",
    "qwerty12345",
    "qwerty1234",
    "qwerty123456",
    "qwertyuiop",
    "qwertyuiop1",
    "superman123",
    "sunshine123",
    "welcome123",
    "welcome1234",
    "zaq12wsxcde3",
    "zxcvbnm123",
];

/// Checks a new password against the policy; `about` are strings it must not equal (the e-mail, the name).
pub(crate) fn check(password: &str, about: &[&str]) -> Result<(), Invalid> {
    let fault = |message: &str| Err(Invalid::new("password", message));
    if password.chars().count() < MIN_CHARS {
        return fault("must have at least 10 characters");
    }
    if password.len() > MAX_BYTES {
        return fault("must have at most 512 bytes");
    }
    let lower = password.to_lowercase();
    let first = lower.chars().next();
    if COMMON.contains(&lower.as_str()) || lower.chars().all(|c| Some(c) == first) {
        return fault("is one of the most used passwords");
    }
    if about.iter().any(|text| text.to_lowercase() == lower) {
        return fault("must differ from your name and e-mail address");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_characters() {
        assert!(check("ninechars", &[]).is_err());
        assert!(check("zehn zeich", &[]).is_ok());
        assert!(check("äöüßäöüßäö", &[]).is_ok());
        assert!(check(&"correct horse ".repeat(40), &[]).is_err());
    }

    #[test]
    fn well_known_passwords_are_refused() {
        assert!(check("Password123", &[]).is_err());
        assert!(check("aaaaaaaaaaaa", &[]).is_err());
        assert!(check("Ada@Example.org", &["ada@example.org"]).is_err());
    }
}
