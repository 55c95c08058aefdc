//! What a web seed's URL becomes for each file. BEP 19.

use std::borrow::Cow;
use std::fmt::Write as _;

use hexad_content::Layout;

use crate::node::trackers::is_local_host;

/// No URL is longer; what is comes from somebody who means no good.
const URL_BYTES_MAX: usize = 2048;

/// A web seed's URL that we understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl(String);

impl BaseUrl {
    /// Reads a `url-list` entry; characters that no URL may hold are percent-encoded.
    ///
    /// # Errors
    /// What is wrong with it, in lower case. A torrent's author chooses the URLs that we call, so one that names this very machine, or one in a private network, may carry no
    /// query: it could make some service here do something (libtorrent's `ssrf_mitigation`).
    pub fn read(url: &str) -> Result<Self, Cow<'static, str>> {
        if url.len() > URL_BYTES_MAX {
            return Err(format!("expected at most {URL_BYTES_MAX} bytes of url, came {}", url.len()).into());
        }
        let Some((scheme, rest)) = url.split_once("://") else { return Err("expected scheme://host".into()) };
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(format!("expected http or https, came {:?}", scheme.chars().take(16).collect::<String>()).into());
        }
        let rest = rest.split('#').next().unwrap_or(rest);
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = match host.strip_prefix('[') {
            Some(six) => six.split(']').next().unwrap_or(six),
            None => host.split(':').next().unwrap_or(host),
        };
        if host.is_empty() || authority.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
            return Err("expected a host".into());
        }
        if is_local_host(host) && rest.contains('?') {
            return Err("a web seed on this machine or in a private network must have no query".into());
        }
        let mut encoded = format!("{scheme}://");
        for byte in rest.bytes() {
            if byte <= b' ' || byte >= 0x7f || b"\"<>\\^`{|}".contains(&byte) {
                push_encoded(byte, &mut encoded);
            } else {
                encoded.push(char::from(byte));
            }
        }
        Ok(Self(encoded))
    }

    /// Where file `index` of the layout is; `None` when its path leads elsewhere. An entry that ends in `/` is a folder in which the layout stands
    /// under its name; another one is the single file itself. Of several files it can only be a folder, as libtorrent takes it.
    pub fn of_file(&self, layout: &Layout, index: usize) -> Option<String> {
        let mut url = self.0.clone();
        if layout.is_single() {
            if url.ends_with('/') {
                push_element(layout.name(), &mut url)?;
            }
            return Some(url);
        }
        if !url.ends_with('/') {
            url.push('/');
        }
        push_element(layout.name(), &mut url)?;
        for element in &layout.files().get(index)?.path {
            url.push('/');
            push_element(element, &mut url)?;
        }
        Some(url)
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn push_element(element: &str, url: &mut String) -> Option<()> {
    if matches!(element, "" | "." | "..") {
        return None;
    }
    for byte in element.bytes() {
        // What RFC 3986 calls unreserved.
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            push_encoded(byte, url);
        }
    }
    Some(())
}

fn push_encoded(byte: u8, url: &mut String) {
    // Writing to memory does not fail.
    let _ = write!(url, "%{byte:02X}");
}

#[cfg(test)]
mod tests {
    use hexad_content::FileEntry;

    use super::*;

    fn check(base: &str, layout: &Layout, index: usize, expected: Option<&str>) {
        assert_eq!(BaseUrl::read(base).unwrap().of_file(layout, index).as_deref(), expected, "{base}");
    }

    #[test]
    fn a_single_file_is_the_url_or_stands_in_its_folder() {
        let layout = Layout::single("blue & green ü.ogg".into(), 5).unwrap();
        check("http://w.example/get.php?f=1", &layout, 0, Some("http://w.example/get.php?f=1"));
        check("http://w.example/f/", &layout, 0, Some("http://w.example/f/blue%20%26%20green%20%C3%BC.ogg"));
        check("HTTP://w.example/a b/ü#x", &layout, 0, Some("HTTP://w.example/a%20b/%C3%BC"));
        check("http://w.example/a%20b", &layout, 0, Some("http://w.example/a%20b"));
    }

    #[test]
    fn of_several_files_each_stands_below_the_name() {
        let files = [vec!["sub dir", "a#1"], vec!["..", "etc"], vec!["100%.txt"]];
        let files = files.into_iter().map(|path| FileEntry::plain(path.into_iter().map(str::to_owned).collect(), 1)).collect();
        let layout = Layout::folder("a/lbum".into(), files).unwrap();
        check("https://w.example", &layout, 0, Some("https://w.example/a%2Flbum/sub%20dir/a%231"));
        check("https://w.example/x/", &layout, 1, None);
        check("https://w.example/x/", &layout, 2, Some("https://w.example/x/a%2Flbum/100%25.txt"));
    }

    #[test]
    fn what_is_no_web_seed_is_refused() {
        for url in [
            "ftp://w.example/",
            "w.example",
            "http:///x",
            "http://w ex/",
            "http://127.0.0.1/x?y",
            "http://192.168.1.1/x?y",
            "http://[::1]:80/?y",
            "http://localhost?x",
        ] {
            assert!(BaseUrl::read(url).is_err(), "{url}");
        }
        assert!(BaseUrl::read(&format!("http://w.example/{}", "a".repeat(3000))).is_err());
        assert!(BaseUrl::read("http://127.0.0.1:8080/x").is_ok());
    }
}
