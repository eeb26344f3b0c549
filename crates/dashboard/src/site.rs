//! Where this site is reached: links handed out, cookies, and what counts as our own origin.

use http::{HeaderMap, header};
use url::{Origin, Url};

#[derive(Debug, Clone)]
pub(crate) struct Site {
    public_url: Url,
}

impl Site {
    pub(crate) fn new(public_url: Url) -> Self {
        Self { public_url }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    pub(crate) fn link(&self, path: &str, token: &str) -> String {
        format!("{}/{path}/{token}", self.public_url.as_str().trim_end_matches('/'))
    }

    /// Whether a browser sent this request from one of our own pages. Requests without `Origin` are no browser's
    /// cross-site requests.
    pub(crate) fn is_own_origin(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Some(origin) = origin.to_str().ok().and_then(|text| Url::parse(text).ok()) else { return false };
        if origin.origin() == self.public_url.origin() {
            return true;
        }
        // Reached by another name or port than configured: what the browser asked is what it must come from.
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        match (origin.origin(), host) {
            (Origin::Tuple(..), Some(host)) => authority(&origin).eq_ignore_ascii_case(host),
            _ => false,
        }
    }
}

fn authority(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_our_own_pages_may_call() {
        let site = Site::new("https://meet.example.org".parse().unwrap());
        let own = |origin: Option<&'static str>, host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            site.is_own_origin(&headers)
        };
        assert!(own(None, "meet.example.org"));
        assert!(own(Some("https://meet.example.org"), "10.0.0.1:8080"));
        assert!(own(Some("http://127.0.0.1:8080"), "127.0.0.1:8080"));
        assert!(!own(Some("https://evil.example"), "meet.example.org"));
        assert!(!own(Some("http://127.0.0.1:9999"), "127.0.0.1:8080"));
        assert!(!own(Some("null"), "meet.example.org"));
    }

    #[test]
    fn links_have_one_slash() {
        assert_eq!(Site::new("http://h:1/".parse().unwrap()).link("join", "t"), "http://h:1/join/t");
    }
}
