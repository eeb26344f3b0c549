//! What a browser's User-Agent header says of browser, system and device, in the names LiveKit's server uses.
//!
//! Only as much as decides something here: which browser, which version, which system. Unknown stays empty.

use livekit_protocol as proto;

/// Longer than any browser's.
const MAX_BYTES: usize = 1_024;

/// Fills what the client did not say of itself. Native SDKs say all there is; their HTTP library's header says nothing.
pub(crate) fn fill(client: &mut proto::ClientInfo, header: &str) {
    use proto::client_info::Sdk;
    let may_be_browser =
        matches!(client.sdk(), Sdk::Js | Sdk::ReactNative | Sdk::Flutter | Sdk::Unity | Sdk::Unknown);
    if !may_be_browser || header.len() > MAX_BYTES {
        return;
    }
    if client.browser.is_empty() {
        let (browser, version) = browser(header);
        (client.browser, client.browser_version) = (browser.to_owned(), version.to_owned());
    }
    if client.os.is_empty() {
        client.os = system(header).to_owned();
    }
    if client.device_model.is_empty() {
        client.device_model = device(header).to_owned();
    }
}

/// Name and version. Browsers claim to be each other: the more special mark comes first.
fn browser(header: &str) -> (&'static str, &str) {
    let is_mobile = header.contains("Mobile") || header.contains("Tablet;");
    let known = [
        ("FxiOS/", "Firefox iOS", "Firefox iOS"),
        ("Firefox/", "Firefox", "Firefox Mobile"),
        ("CriOS/", "Chrome Mobile iOS", "Chrome Mobile iOS"),
        ("EdgA/", "Edge Mobile", "Edge Mobile"),
        ("EdgiOS/", "Edge Mobile", "Edge Mobile"),
        ("Edg/", "Edge", "Edge"),
        ("OPR/", "Opera", "Opera Mobile"),
        ("SamsungBrowser/", "Samsung Internet", "Samsung Internet"),
        ("Chrome/", "Chrome", "Chrome Mobile"),
    ];
    for (mark, name, mobile_name) in known {
        if let Some(version) = after(header, mark) {
            return (if is_mobile { mobile_name } else { name }, version);
        }
    }
    // Safari writes its own version elsewhere.
    match (header.contains("Safari/"), after(header, "Version/")) {
        (true, Some(version)) => (if is_mobile { "Mobile Safari" } else { "Safari" }, version),
        _ => ("", ""),
    }
}

fn after<'a>(header: &'a str, mark: &str) -> Option<&'a str> {
    let rest = header.split_once(mark)?.1;
    Some(rest.split([' ', ';', ')']).next().unwrap_or_default())
}

fn system(header: &str) -> &'static str {
    let known = [
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iOS"),
        ("Windows", "Windows"),
        ("CrOS", "Chrome OS"),
        ("Macintosh", "Mac OS X"),
        ("Linux", "Linux"),
    ];
    known.into_iter().find(|(mark, _)| header.contains(mark)).map_or("", |(_, name)| name)
}

/// The model Android browsers name: `(Linux; Android 12; 2201117TI Build/…)`.
fn device(header: &str) -> &str {
    let model = header.split_once("; Android ").and_then(|(_, rest)| rest.split([';', ')']).nth(1));
    model.and_then(|model| model.split(" Build").next()).unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(header: &str) -> (String, String, String, String) {
        let mut client = proto::ClientInfo { sdk: proto::client_info::Sdk::Js as i32, ..Default::default() };
        fill(&mut client, header);
        (client.browser, client.browser_version, client.os, client.device_model)
    }

    #[test]
    fn browsers_are_recognised() {
        let apple = "AppleWebKit/605.1.15 (KHTML, like Gecko)";
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        for (header, expected) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned(),
                ["Firefox", "140.0", "Linux", ""],
            ),
            (
                "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".into(),
                ["Firefox", "140.0", "Linux", ""],
            ),
            (
                "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0".into(),
                ["Firefox Mobile", "140.0", "Android", ""],
            ),
            (
                format!(
                    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {apple} Version/18.4 Safari/605.1.15"
                ),
                ["Safari", "18.4", "Mac OS X", ""],
            ),
            (
                format!(
                    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) {apple} Version/18.4 Mobile/15E148 Safari/604.1"
                ),
                ["Mobile Safari", "18.4", "iOS", ""],
            ),
            (
                format!(
                    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/150.0.0.0 Safari/537.36 Edg/150.0.1"
                ),
                ["Edge", "150.0.1", "Windows", ""],
            ),
            (
                format!(
                    "Mozilla/5.0 (Linux; Android 12; 2201117TI Build/SKQ1) {webkit} Chrome/150.0.0.0 Mobile Safari/537.36"
                ),
                ["Chrome Mobile", "150.0.0.0", "Android", "2201117TI"],
            ),
            ("curl/8.0".into(), ["", "", "", ""]),
        ] {
            let (browser, version, os, device) = read(&header);
            assert_eq!(
                [browser.as_str(), version.as_str(), os.as_str(), device.as_str()],
                expected,
                "{header}"
            );
        }
    }

    #[test]
    fn what_clients_say_of_themselves_stands() {
        let mut client = proto::ClientInfo { browser: "Own".into(), os: "Else".into(), ..Default::default() };
        fill(&mut client, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
        assert_eq!(
            (client.browser.as_str(), client.browser_version.as_str(), client.os.as_str()),
            ("Own", "", "Else")
        );
        let mut native = proto::ClientInfo { sdk: proto::client_info::Sdk::Go as i32, ..Default::default() };
        fill(&mut native, "Firefox/140.0 Linux");
        assert_eq!(native.browser, "");
    }

    proptest! {
        #[test]
        fn any_header_is_read(header in "\\PC{0,200}", marks in "(Firefox/|Version/|Safari/|; Android |[;) ]|x){0,30}") {
            read(&header);
            read(&marks);
        }
    }
}
