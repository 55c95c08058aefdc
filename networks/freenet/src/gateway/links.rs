//! Where links lead. Whatever leads out of Freenet leads over a page that asks, and nothing but a link that is clicked leads out at all.

use hexad_content::PercentEncoded;

use crate::keys::Uri;

const SCHEMES: [&str; 5] = ["freenet", "hyphanet", "hypha", "web+freenet", "ext+freenet"];

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To another page of the gateway: what the link is to say.
    Inside(String),
    /// Out of Freenet, there.
    Outside(String),
    /// Nowhere.
    Nowhere,
}

/// Follows what a link says.
pub(super) fn follow(said: &str) -> Way {
    // As browsers do.
    let said: String =
        said.trim_matches(|letter: char| letter <= ' ').chars().filter(|letter| !matches!(letter, '\t' | '\n' | '\r')).collect();
    if said.chars().any(|letter| letter.is_control() || letter == '\\') {
        return Way::Nowhere;
    }
    let (place, fragment) = said.split_once('#').map_or((said.as_str(), None), |(place, fragment)| (place, Some(fragment)));
    let inside = |mut place: String| {
        if let Some(fragment) = fragment {
            place = place + "#" + fragment;
        }
        Way::Inside(place)
    };
    let key = |text: &str| Uri::parse(text).ok().filter(|uri| !uri.is_insert());
    if place.starts_with("//") {
        return Way::Outside(format!("http:{said}"));
    }
    if let Some(path) = place.strip_prefix('/') {
        return key(path).map_or(Way::Nowhere, |uri| inside(format!("/{uri}")));
    }
    let scheme = place.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let plain = |scheme: &String| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) && !scheme.is_empty();
    match scheme.filter(plain) {
        None => match key(place) {
            Some(uri) => inside(format!("/{uri}")),
            None => inside(place.to_owned()),
        },
        Some(scheme) if SCHEMES.contains(&scheme.as_str()) => key(place).map_or(Way::Nowhere, |uri| inside(format!("/{uri}"))),
        Some(scheme) if scheme == "http" || scheme == "https" => match key(place).filter(|_| is_gateway(place)) {
            Some(uri) => inside(format!("/{uri}")),
            None => Way::Outside(said),
        },
        Some(scheme) if scheme == "mailto" => Way::Outside(said),
        Some(_) => Way::Nowhere,
    }
}

/// Whether a web address is that of somebody's own gateway.
fn is_gateway(address: &str) -> bool {
    let host = address.split("//").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or("");
    matches!(host.to_ascii_lowercase().as_str(), "127.0.0.1:8888" | "localhost:8888" | "[::1]:8888")
}

/// The link to the page that asks.
pub(super) fn asking(to: &str) -> String {
    format!("/external-link/?to={}", PercentEncoded(to, ""))
}
