//! Pages of strangers: what `ammonia` knows to be harmless, with links that stay inside, and styles that have passed a filter of their own.

use std::borrow::Cow;

use ammonia::{Builder, UrlRelative};

use super::css;
use super::links::{Way, asking, follow};

/// Bytes of a page, after which it ends.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// Style sheets within a page.
const STYLES_MAX: usize = 16;
/// Bytes of a title.
const TITLE_BYTES_MAX: usize = 1024;

/// Elements beyond those that `ammonia` takes by itself.
const MORE_TAGS: [&str; 13] =
    ["font", "big", "main", "section", "address", "fieldset", "legend", "label", "menu", "link", "audio", "video", "source"];
/// Elements whose content goes with them.
const WITH_CONTENT: [&str; 14] = [
    "title", "style", "script", "noscript", "template", "iframe", "object", "applet", "svg", "math", "textarea", "select", "noembed",
    "noframes",
];
/// Attributes of every element.
const ATTRIBUTES: [&str; 10] = ["class", "id", "style", "title", "lang", "dir", "align", "valign", "bgcolor", "color"];

/// A page that can be shown.
pub(super) fn page(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(PAGE_BYTES_MAX)];
    let mut builder = Builder::default();
    builder
        .add_tags(MORE_TAGS)
        .add_clean_content_tags(WITH_CONTENT)
        .add_generic_attributes(ATTRIBUTES)
        .add_tag_attributes("a", ["name"])
        .add_tag_attributes("font", ["face", "size"])
        .add_tag_attributes("table", ["border", "cellpadding", "cellspacing", "width"])
        .add_tag_attributes("td", ["width", "height", "nowrap"])
        .add_tag_attributes("th", ["width", "height", "nowrap"])
        .add_tag_attributes("link", ["href", "media"])
        .add_tag_attributes("audio", ["src", "controls", "loop"])
        .add_tag_attributes("video", ["src", "controls", "loop", "width", "height", "poster"])
        .add_tag_attributes("source", ["src", "type"])
        .add_tag_attribute_values("link", "rel", ["stylesheet"])
        .url_schemes(["freenet", "hyphanet", "hypha", "web+freenet", "ext+freenet", "http", "https", "mailto"].into_iter().collect())
        .url_relative(UrlRelative::PassThrough)
        .link_rel(Some("noreferrer noopener nofollow"))
        .attribute_filter(attribute);
    let body = builder.clean(text).to_string();
    let title = Builder::empty().clean(&inner(text, "title", 1).concat()).to_string();
    let title = &title[..title.floor_char_boundary(TITLE_BYTES_MAX)];
    let styles: String = inner(text, "style", STYLES_MAX).into_iter().map(css::stylesheet).collect();
    // A sheet in which something could end the element is none.
    let styles = if styles.contains('<') { String::new() } else { styles };
    format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{title}</title><style>{styles}</style></head>\n<body>{body}</body></html>\n"
    )
}

fn attribute<'a>(element: &str, attribute: &str, value: &'a str) -> Option<Cow<'a, str>> {
    match attribute {
        "style" => Some(css::declarations(value).into()).filter(|style: &Cow<'_, str>| !style.is_empty()),
        "href" | "src" | "cite" | "poster" => match follow(value) {
            Way::Inside(to) => Some(to.into()),
            Way::Outside(to) if element == "a" && attribute == "href" => Some(asking(&to).into()),
            Way::Outside(_) | Way::Nowhere => None,
        },
        _ => Some(value.into()),
    }
}

/// What is between the tags of an element of which all content is text. What is found is not trusted to be what a browser would find: it goes
/// through filters of its own.
fn inner<'a>(text: &'a str, element: &str, count: usize) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut rest = text;
    while found.len() < count
        && let Some(at) = tag(rest, '<', element)
        && let Some(end) = rest[at..].find('>')
    {
        rest = &rest[at + end + 1..];
        let close = tag(rest, '/', element).unwrap_or(rest.len());
        found.push(rest[..close].trim_end_matches('<'));
        rest = &rest[close..];
    }
    found
}

/// Where a tag begins, by the letter before its name.
fn tag(text: &str, before: char, element: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    text.match_indices(before).map(|(at, _)| at).find(|&at| {
        let name = bytes.get(at + 1..at + 1 + element.len());
        let opened = before != '/' || (at > 0 && bytes[at - 1] == b'<');
        let ends = bytes.get(at + 1 + element.len()).is_none_or(|byte| b" \t\r\n\x0c/>".contains(byte));
        opened && ends && name.is_some_and(|name| name.eq_ignore_ascii_case(element.as_bytes()))
    })
}
