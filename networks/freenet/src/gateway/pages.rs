//! The gateway's own pages.

use super::{Page, Want, links};
use crate::node::Counts;

/// What the gateway's own pages may do: nothing but ask for a key.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// What pages of strangers may do: show pictures, styles, sounds and films that come through the gateway.
pub(super) const POLICY_OF_OTHERS: &str = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'self' 'unsafe-inline'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Text, and what stands between quotes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

fn page(status: u16, title: &str, body: &str) -> Page {
    let style = "body{font-family:sans-serif;max-width:40em;margin:3em auto;padding:0 1em;line-height:1.5}input{width:100%}";
    let text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{style}</style></head>\n\
         <body><h1>{title}</h1>\n{body}\n</body></html>\n"
    );
    Page::new(status, "text/html; charset=utf-8", POLICY, text)
}

/// The page under `/`.
pub(super) fn home() -> Page {
    page(
        200,
        "Freenet",
        "<p>What is under a key: CHK@…, SSK@…, USK@… or KSK@…</p>\n\
         <form action=\"/\" method=\"get\"><input name=\"key\" autofocus placeholder=\"KSK@greeting\"><button>Show</button></form>",
    )
}

/// Something is looked for, or comes: the browser asks again by itself.
pub(super) fn waiting(want: &Want, counts: Option<&Counts>, seconds: u64) -> Page {
    let far = match counts {
        Some(counts) => {
            let total = if counts.is_final { "" } else { " or more" };
            format!(
                "<p>{} of the {} blocks that are needed are there ({}{total} in all).</p>\n<progress max=\"{}\" value=\"{}\"></progress>",
                counts.succeeded.min(counts.required),
                counts.required,
                counts.total,
                counts.required,
                counts.succeeded.min(counts.required)
            )
        }
        None => "<p>It is looked for.</p>".to_owned(),
    };
    let key = escape(&want.uri.to_string());
    let body = format!(
        "<p><code>{key}</code></p>\n{far}\n<p>For {seconds} s so far. This page asks again by itself; nothing more is fetched once it is closed.</p>"
    );
    page(200, "On its way", &body).with("refresh", "2".to_owned())
}

/// Something went wrong.
pub(super) fn wrong(status: u16, why: &str) -> Page {
    let title = match status {
        400 => "Not a key",
        404 => "Not found",
        413 => "Too large",
        503 => "Not at the moment",
        _ => "That did not work",
    };
    page(status, title, &format!("<p>{}</p>\n<p><a href=\"/\">Another key</a></p>", escape(why)))
}

/// Something that is not shown.
pub(super) fn unsafe_content(why: &str, want: &Want) -> Page {
    let link = escape(&format!("/{}?forcedownload", want.uri));
    let body = format!(
        "<p>{}</p>\n<p><a href=\"{link}\">Keep it as a file</a>. A program that opens it may tell others who you are.</p>",
        escape(why)
    );
    page(415, "Not shown", &body)
}

/// Asks whether somebody really wants to leave Freenet.
pub(super) fn outside(to: &str) -> Page {
    let links::Way::Outside(to) = links::follow(to) else { return wrong(404, "There is no such page.") };
    let to = escape(&to);
    let body = format!(
        "<p>This link leads out of Freenet. Whoever is there sees your address, and can learn which page you come from if few know of the link.</p>\n\
         <p><a href=\"{to}\" rel=\"noreferrer noopener nofollow\">{to}</a></p>"
    );
    page(200, "Leaving Freenet", &body)
}
